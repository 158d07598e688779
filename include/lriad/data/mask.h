#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace lriad {

/// Which pixels of an image show a defect.
struct Mask {
  int64_t height = 0, width = 0;
  std::vector<bool> defect;  ///< row-major
};

/// Reads an image whose pixels that are not black are defect; of a folder of them, those of any. Throws Error naming
/// what cannot be read, or images of one folder that differ in size.
Mask read_mask(const std::filesystem::path& path);

/// The mask of the image with that stem in a folder of masks: <stem>_mask.<ext>, <stem>.<ext>, or a folder <stem>.
/// Empty if there is none.
std::filesystem::path find_mask(const std::filesystem::path& folder, const std::string& stem);

}  // namespace lriad
