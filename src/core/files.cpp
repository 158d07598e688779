#include "lriad/core/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "lriad/core/error.h"
#include "lriad/core/lfs_pointer.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

std::string reason() { return std::strerror(errno); }

bool write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

/// Removes the temporary file unless it was renamed.
class TemporaryFile {
 public:
  explicit TemporaryFile(fs::path path) : path_(std::move(path)) {}
  ~TemporaryFile() {
    if (!kept_) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const fs::path& path() const { return path_; }
  void keep() { kept_ = true; }

 private:
  fs::path path_;
  bool kept_ = false;
};

enum class Flush { kNo, kYes };

/// Writes a hidden file beside `path`, named with this ending, and renames it.
void replace_file(std::string_view where, const fs::path& path, const std::string& ending, Flush flush,
                  const std::function<void(const ByteSink&)>& produce) {
  TemporaryFile temporary(path.parent_path() / ("." + path.filename().string() + ending));
  const auto refuse = [&](const char* verb) { fail(where, "cannot ", verb, " ", path.string(), ": ", reason()); };
  Descriptor file(::open(temporary.path().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.is_open()) {
    temporary.keep();
    refuse("create");
  }
  produce([&](std::string_view bytes) {
    if (!write_all(file.get(), bytes)) refuse("write");
  });
  if ((flush == Flush::kYes && ::fsync(file.get()) != 0) || !file.close()) refuse("write");
  if (::rename(temporary.path().c_str(), path.c_str()) != 0) refuse("rename the new");
  temporary.keep();
}

void expect_folder(std::string_view where, const fs::path& path, const std::error_code& error) {
  if (error || !fs::is_directory(path)) {
    fail(where, "cannot create the folder ", path.string(), ": ", error ? error.message() : "it is a file");
  }
}

}  // namespace

std::string read_file(std::string_view where, const fs::path& path, uint64_t max_bytes) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0) fail(where, "cannot read ", path.string(), ": ", reason());
  if (!S_ISREG(info.st_mode)) fail(where, path.string(), " is not a regular file");
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size > max_bytes)
    fail(where, path.string(), " has ", size, " bytes, more than the ", max_bytes, " that are read");
  std::string bytes(size, '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(file.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(where, "cannot read ", path.string(), ": ", reason());
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  refuse_lfs_pointer(where, path, bytes);
  return bytes;
}

void write_file_atomic(std::string_view where, const fs::path& path, std::string_view bytes) {
  write_file_atomic(where, path, [bytes](const ByteSink& sink) { sink(bytes); });
}

void write_file_atomic(std::string_view where, const fs::path& path,
                       const std::function<void(const ByteSink&)>& produce) {
  replace_file(where, path, ".tmp", Flush::kYes, produce);
  sync_folder(where, path.parent_path());
}

void write_file_whole(std::string_view where, const fs::path& path, std::string_view bytes) {
  replace_file(where, path, concat(".", std::this_thread::get_id(), ".tmp"), Flush::kNo,
               [bytes](const ByteSink& sink) { sink(bytes); });
}

void make_folder(std::string_view where, const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  expect_folder(where, path, error);
}

void make_subfolder(std::string_view where, const fs::path& path) {
  std::error_code error;
  fs::create_directory(path, error);
  expect_folder(where, path, error);
}

void sync_folder(std::string_view where, const fs::path& path) {
  const fs::path folder = path.empty() ? fs::path(".") : path;
  const Descriptor handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some file systems cannot flush a folder and return EINVAL; the file itself has been flushed.
  if (handle.get() < 0 || (::fsync(handle.get()) != 0 && errno != EINVAL)) {
    fail(where, "cannot flush the folder ", folder.string(), ": ", reason());
  }
}

LineFile::LineFile(std::string_view where, fs::path path, Mode mode) : where_(where), path_(std::move(path)) {
  const int truncate = mode == Mode::kTruncate ? O_TRUNC : 0;
  file_ = Descriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | truncate, 0644));
  if (!file_.is_open()) fail(where_, "cannot open ", path_.string(), " for writing: ", reason());
}

void LineFile::write_line(std::string_view line) {
  std::string whole(line);
  whole += '\n';
  struct stat before {};
  const bool known = ::fstat(file_.get(), &before) == 0;
  if (write_all(file_.get(), whole)) return;
  const std::string why = reason();
  // A full disk takes a part of the line, which must not stay: the next line would be appended to it.
  if (known && ::ftruncate(file_.get(), before.st_size) != 0)
    fail(where_, "cannot mend ", path_.string(), ": ", reason());
  fail(where_, "cannot write ", path_.string(), ": ", why);
}

void LineFile::sync() {
  if (::fsync(file_.get()) != 0 && errno != EINVAL) fail(where_, "cannot flush ", path_.string(), ": ", reason());
}

bool lies_in(const fs::path& path, const fs::path& folder) {
  const auto resolved = [](const fs::path& given) {
    std::error_code error;
    const fs::path real = fs::weakly_canonical(fs::absolute(given), error) / "";
    return real.parent_path();
  };
  const fs::path inner = resolved(path), outer = resolved(folder);
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

bool stays_inside(const fs::path& folder, const fs::path& relative) {
  if (relative.empty() || relative.is_absolute() || relative.native().find('\0') != std::string::npos) return false;
  for (const fs::path& part : relative) {
    if (part == "..") return false;
  }
  std::error_code error;
  const fs::path root = fs::weakly_canonical(folder, error);
  if (error) return false;
  const fs::path target = fs::weakly_canonical(folder / relative, error);
  if (error) return false;
  const auto [root_end, ignored] = std::mismatch(root.begin(), root.end(), target.begin(), target.end());
  return root_end == root.end();
}

}  // namespace lriad
