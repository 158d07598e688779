#include "tool_new_folder.h"

#include <system_error>

#include "lriad/core/error.h"
#include "lriad/core/files.h"

namespace lriad {

namespace fs = std::filesystem;

fs::path output_path(const std::string& output) {
  if (output.empty()) fail("app", "--output is empty, expected a folder");
  return (fs::absolute(output).lexically_normal() / "").parent_path();
}

NewFolder::NewFolder(const std::string& output) : target_(output_path(output)) {
  making_ = target_.parent_path() / concat(".", target_.filename().string(), ".making");
  std::error_code error;
  if (fs::exists(fs::symlink_status(target_, error))) {
    if (!fs::is_directory(target_, error)) fail("app", "--output ", target_.string(), " is not a folder");
    if (!fs::is_empty(target_, error) || error) {
      fail("app", "--output ", target_.string(), " is not empty; remove it or name another");
    }
  }
  fs::remove_all(making_, error);
  make_folder("app", making_);
}

NewFolder::~NewFolder() {
  std::error_code ignored;
  fs::remove_all(making_, ignored);
}

void NewFolder::finish() {
  std::error_code error;
  fs::rename(making_, target_, error);
  if (error) fail("app", "cannot create ", target_.string(), ": ", error.message());
}

}  // namespace lriad
