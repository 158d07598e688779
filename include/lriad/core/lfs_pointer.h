#pragma once

#include <filesystem>
#include <string_view>

namespace lriad {

/// Throws Error("[where] ...") naming the file and the command that fetches it if `begin`, its first bytes, are those
/// of a pointer of Git LFS. Such a text of three lines stands in a clone in place of each large file until it is
/// fetched.
void refuse_lfs_pointer(std::string_view where, const std::filesystem::path& path, std::string_view begin);

}  // namespace lriad
