#include "json_file.h"

#include <system_error>

#include "core/json.h"

namespace lriad {
namespace {

constexpr uint64_t kMaxBytes = 256ull << 20;

}  // namespace

nlohmann::json read_json_object(const std::filesystem::path& path) { return read_json_object("text", path, kMaxBytes); }

bool is_there(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

}  // namespace lriad
