#include "lriad/data/mask.h"

#include <algorithm>
#include <array>
#include <functional>
#include <system_error>

#include "listing.h"
#include "lriad/core/error.h"
#include "lriad/vision/image_processor.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 5> kMaskEndings = {"_mask.png", ".png", ".bmp", "_mask.bmp", ".tif"};

Mask read_mask_image(const fs::path& path) {
  const Image image = decode_image(path, ResizeBackend::kPil);
  Mask mask{image.height, image.width, std::vector<bool>(static_cast<size_t>(image.height * image.width))};
  for (size_t i = 0; i < mask.defect.size(); ++i) {
    mask.defect[i] = image.rgb[3 * i] > 0 || image.rgb[3 * i + 1] > 0 || image.rgb[3 * i + 2] > 0;
  }
  return mask;
}

}  // namespace

Mask read_mask(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return read_mask_image(path);
  const Folder folder(path, /*follow_links=*/true);
  if (folder.images().empty()) fail("data", path.string(), " has no images, expected the masks of a defect");
  Mask all;
  for (const std::string& name : folder.images()) {
    Mask mask = read_mask_image(path / name);
    if (all.defect.empty()) {
      all = std::move(mask);
      continue;
    }
    if (mask.height != all.height || mask.width != all.width) {
      fail("data", (path / name).string(), " is ", mask.width, " x ", mask.height, ", expected ", all.width, " x ",
           all.height, " as the mask beside it");
    }
    std::transform(all.defect.begin(), all.defect.end(), mask.defect.begin(), all.defect.begin(), std::logical_or<>());
  }
  return all;
}

fs::path find_mask(const fs::path& folder, const std::string& stem) {
  if (folder.empty()) return {};
  std::error_code error;
  for (const char* ending : kMaskEndings) {
    const fs::path path = folder / (stem + ending);
    if (fs::is_regular_file(path, error)) return path;
  }
  const fs::path several = folder / stem;
  return fs::is_directory(several, error) ? several : fs::path();
}

}  // namespace lriad
