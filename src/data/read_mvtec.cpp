#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "read_tree.h"

// Sets in the layout of MVTec-AD, which differ in the names of their splits.
namespace lriad {

Listing read_mvtec(const DataSection& section) {
  return read_tree(section,
                   {"mvtec", {{"train", "train"}, {"test", "test"}, {"validation", "validation", /*in_all=*/false}}});
}

Listing read_loco(const DataSection& section) {
  return read_tree(section, {"loco", {{"train", "train"}, {"validation", "validation"}, {"test", "test"}}});
}

Listing read_btad(const DataSection& section) {
  Listing found = read_tree(section, {"btad", {{"train", "train"}, {"test", "test"}}});
  for (const Sample& sample : found.samples) {
    if (section.object_names.contains(sample.object)) continue;
    log_warning(concat("[data] BTAD's object ", sample.object, " has no name that a model could know; ",
                       "give one in data.object_names, such as {\"", sample.object, "\": \"circular part\"}"));
    break;
  }
  return found;
}

Listing read_mpdd(const DataSection& section) {
  return read_tree(section, {"mpdd", {{"train", "train"}, {"test", "test"}}});
}

Listing read_dtd_synthetic(const DataSection& section) {
  return read_tree(section, {"dtd_synthetic", {{"train", "train"}, {"test", "test"}}});
}

Listing read_mvtec_ad2(const DataSection& section) {
  return read_tree(section, {"mvtec_ad2",
                             {{"train", "train"},
                              {"validation", "validation"},
                              {"test_public", "test"},
                              {"test_private", "test_private", /*in_all=*/false, /*labelled=*/false},
                              {"test_private_mixed", "test_private_mixed", /*in_all=*/false, /*labelled=*/false}}});
}

}  // namespace lriad
