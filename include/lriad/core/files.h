#pragma once

#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>

#include "lriad/core/descriptor.h"

namespace lriad {

/// Returns the whole file. Throws Error("[where] ...") naming it if it is missing, no regular file, unreadable, or
/// larger than `max_bytes`.
std::string read_file(std::string_view where, const std::filesystem::path& path, uint64_t max_bytes = 1ull << 30);

/// Writes a temporary file beside `path` (name `.<name>.tmp`), flushes it to the disk, renames it and syncs the folder;
/// on any failure (disk full, quota, read-only) removes the temporary file, leaves an older `path` as it was and
/// throws Error naming the path and the reason of the system.
void write_file_atomic(std::string_view where, const std::filesystem::path& path, std::string_view bytes);

/// As above with the bytes produced piecewise: `produce` calls its argument once per piece.
using ByteSink = std::function<void(std::string_view)>;
void write_file_atomic(std::string_view where, const std::filesystem::path& path,
                       const std::function<void(const ByteSink&)>& produce);

/// As write_file_atomic(), but not flushed to the disk: for files that can be made again. Threads may write one path.
void write_file_whole(std::string_view where, const std::filesystem::path& path, std::string_view bytes);

/// Creates the folder and its parents; throws Error if that fails or the path is a file.
void make_folder(std::string_view where, const std::filesystem::path& path);

/// As above for a folder whose parent exists; throws Error if it does not. Used inside a run folder, so that a run
/// folder that was moved away during the run is reported and not created again.
void make_subfolder(std::string_view where, const std::filesystem::path& path);

/// Calls fsync on a folder, so that names created in it survive a crash; throws Error if that fails.
void sync_folder(std::string_view where, const std::filesystem::path& path);

/// Appends whole lines to a file, each with one write(2). All functions throw Error naming the file when the system
/// refuses, for example because the disk is full.
class LineFile {
 public:
  enum class Mode { kAppend, kTruncate };
  LineFile(std::string_view where, std::filesystem::path path, Mode mode);
  void write_line(std::string_view line);  ///< adds the newline
  void sync();                             ///< fsync
  const std::filesystem::path& path() const { return path_; }

 private:
  std::string where_;
  std::filesystem::path path_;
  Descriptor file_;
};

/// Lower-case hexadecimal SHA-256 of bytes, and of a file's; throws Error if the file cannot be read.
std::string sha256_hex(std::string_view bytes);
std::string sha256_file(std::string_view where, const std::filesystem::path& path);

/// True if `text` is valid UTF-8 (no surrogates, no overlong forms).
bool is_utf8(std::string_view text);

/// True if `path` is `folder` or lies below it once links are resolved, whether they exist or not.
bool lies_in(const std::filesystem::path& path, const std::filesystem::path& folder);

/// True if `relative` joined to a folder stays inside it: not absolute, no `..`, no NUL, and not through a symbolic
/// link that leaves `folder`.
bool stays_inside(const std::filesystem::path& folder, const std::filesystem::path& relative);

}  // namespace lriad
