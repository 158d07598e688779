#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>

namespace lriad {

/// The JSON object in a file of a model folder. Throws Error naming the file if it is missing, larger than 256 MiB or
/// no JSON object.
nlohmann::json read_json_object(const std::filesystem::path& path);

/// True if the path exists; false also if the system cannot tell.
bool is_there(const std::filesystem::path& path);

}  // namespace lriad
