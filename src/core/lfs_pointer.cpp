#include "lriad/core/lfs_pointer.h"

#include "lriad/core/error.h"

namespace lriad {

void refuse_lfs_pointer(std::string_view where, const std::filesystem::path& path, std::string_view begin) {
  if (!begin.starts_with("version https://git-lfs.github.com/spec/")) return;
  fail(where, path.string(), " is a pointer of Git LFS, not the file itself; fetch it: git lfs pull in the clone, ",
       "or hf download");
}

}  // namespace lriad
