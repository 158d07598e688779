#include "json_file.h"

#include <nlohmann/json.hpp>
#include <string>
#include <system_error>

#include "lriad/core/error.h"
#include "lriad/core/files.h"

namespace lriad {
namespace {

constexpr uint64_t kMaxBytes = 256ull << 20;

}  // namespace

nlohmann::json read_json_object(const std::filesystem::path& path) {
  const std::string bytes = read_file("text", path, kMaxBytes);
  nlohmann::json root;
  try {
    root = nlohmann::json::parse(bytes);
  } catch (const nlohmann::json::parse_error& error) {
    fail("text", path.string(), " is not valid JSON, got an error at byte ", error.byte, " of ", bytes.size(),
         "; download or write the file again");
  } catch (const nlohmann::json::exception&) {
    fail("text", path.string(), " is not valid JSON; download or write the file again");
  }
  if (!root.is_object()) fail("text", path.string(), " holds a JSON ", root.type_name(), ", expected an object");
  return root;
}

bool is_there(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

}  // namespace lriad
