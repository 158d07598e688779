#pragma once

#include <string>
#include <vector>

#include "readers.h"

namespace lriad {

/// A layout <object>/<split>/<type>/<image>, as MVTec-AD made it usual: a type with a usual name for normal images is
/// normal, any other is a defect.
struct TreeLayout {
  struct Split {
    std::string folder;    ///< below the object
    std::string name;      ///< the value of data.split
    bool in_all = true;    ///< read with data.split: all
    bool labelled = true;  ///< false: images stand in the split's folder itself and have no labels
  };
  std::string format;  ///< for messages
  std::vector<Split> splits;
};

/// True if a folder of `top` has a folder of one of the layout's splits.
bool has_tree(const Folder& top, const TreeLayout& layout);

/// Throws Error if nothing below the root has the layout, if train/ has images but none of them is normal, and if
/// test images would be left out.
Listing read_tree(const DataSection& section, const TreeLayout& layout);

}  // namespace lriad
