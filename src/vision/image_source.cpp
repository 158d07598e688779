#include "image_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lriad/core/error.h"

namespace lriad {

ImageSource::ImageSource(const std::filesystem::path& path)
    : file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  struct stat info {};
  if (file_ < 0) fail("vision", "cannot read ", path.string(), ": ", std::strerror(errno));
  regular_ = ::fstat(file_, &info) == 0 && S_ISREG(info.st_mode);
  size_ = regular_ ? static_cast<uint64_t>(info.st_size) : 0;
}

ImageSource::~ImageSource() { ::close(file_); }

std::string ImageSource::read(uint64_t at, std::size_t length) const {
  std::string bytes(length, '\0');
  std::size_t done = 0;
  while (done < length && at < uint64_t{1} << 62) {
    const ssize_t got = ::pread(file_, bytes.data() + done, length - done, static_cast<off_t>(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

uint64_t number(std::string_view bytes, std::size_t at, std::size_t length, bool big_endian) {
  uint64_t value = 0;
  for (std::size_t i = 0; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(bytes[at + (big_endian ? i : length - 1 - i)]);
    value = value << 8 | byte;
  }
  return value;
}

}  // namespace lriad
