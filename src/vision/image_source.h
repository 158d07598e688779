#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace lriad {

/// Bytes of a file by position; short where the file ends. Throws Error naming the file if it cannot be opened.
class ImageSource {
 public:
  explicit ImageSource(const std::filesystem::path& path);
  ~ImageSource();
  ImageSource(const ImageSource&) = delete;
  ImageSource& operator=(const ImageSource&) = delete;

  bool regular() const { return regular_; }
  uint64_t size() const { return size_; }
  std::string read(uint64_t at, std::size_t length) const;

 private:
  int file_;
  bool regular_ = false;
  uint64_t size_ = 0;
};

/// The whole number in `length` bytes at `at`, all of which must be there.
uint64_t number(std::string_view bytes, std::size_t at, std::size_t length, bool big_endian);

}  // namespace lriad
