#include "read_tree.h"

namespace lriad {

Listing read_mvtec(const DataSection& section) {
  return read_tree(section, {"mvtec",
                             {{"train", "train"}, {"test", "test"}, {"validation", "validation", /*in_all=*/false}}});
}

}  // namespace lriad
