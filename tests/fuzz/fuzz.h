#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "support/temp_folder.h"

namespace lriad {

/// A function that reads untrusted input. A crash, a sanitizer's report, a hang or any exception but Error is a
/// finding.
struct FuzzTarget {
  const char* name;
  void (*run)(const std::string& input);
};

/// All targets of this program; the environment variable LRIAD_FUZZ_TARGET names the one to run.
std::span<const FuzzTarget> fuzz_targets();

/// Ends the process unless a property holds that must hold for any input.
inline void fuzz_check(bool holds) {
  if (!holds) std::abort();
}

/// Runs `read`, which may refuse its input by an Error whose text begins with the source folder in brackets.
template <class Read>
void fuzz_refusable(const Read& read) {
  try {
    read();
  } catch (const Error& error) {
    fuzz_check(std::string_view(error.what()).starts_with("["));
  }
}

/// The process's working folder, in memory if the machine has /dev/shm, since writing to a disk takes most of the time.
inline const std::filesystem::path& fuzz_folder() {
  static const TempFolder folder([] {
    init_log(LogLevel::kOff);
    if (::access("/dev/shm", W_OK) == 0) setenv("TMPDIR", "/dev/shm", /*overwrite=*/0);
    return TempFolder();
  }());
  return folder.path();
}

/// A file below fuzz_folder() that is kept open, so that new contents cost two system calls.
class FuzzFile {
 public:
  explicit FuzzFile(const std::string& name, const std::string& bytes = "") : path_(fuzz_folder() / name) {
    std::filesystem::create_directories(path_.parent_path());
    file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    set(bytes);
  }
  const std::filesystem::path& set(const std::string& bytes) const {
    const bool written = ::ftruncate(file_, 0) == 0 &&
                         ::pwrite(file_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size());
    if (!written) std::exit(1);
    return path_;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int file_ = -1;
};

}  // namespace lriad
