#include "lriad/eval/settings.h"

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/json_null.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"

namespace lriad {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& value, int indent = -1) {
  return value.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace

void Settings::set(const std::string& name, const std::string& value) { values_[name] = dump(Json(value)); }

void Settings::set(const std::string& name, const std::optional<std::string>& value) {
  values_[name] = value ? dump(Json(*value)) : "null";
}

void Settings::set(const std::string& name, const char* value) { values_[name] = dump(Json(value)); }

void Settings::set(const std::string& name, const std::optional<double>& value) {
  values_[name] = dump(or_null(value));
}

void Settings::set(const std::string& name, double value) { values_[name] = dump(Json(value)); }

void Settings::set(const std::string& name, int64_t value) { values_[name] = dump(Json(value)); }

void Settings::set(const std::string& name, bool value) { values_[name] = dump(Json(value)); }

std::string Settings::json(int indent) const {
  Json out = Json::object();
  for (const auto& [name, value] : values_) out[name] = Json::parse(value);
  return dump(out, indent);
}

Settings Settings::read(const std::filesystem::path& path) {
  std::string problem;
  const Json read = parse_json_object<Json>(read_file("eval", path, 16 << 20), problem);
  if (!read.is_object()) fail("eval", path.string(), " ", problem, "; remove it, or start without --resume");
  Settings settings;
  for (const auto& [name, value] : read.items()) settings.values_[name] = dump(value);
  return settings;
}

std::string Settings::difference(const Settings& now) const {
  std::map<std::string, std::string> all = values_;
  all.insert(now.values_.begin(), now.values_.end());
  for (const auto& [name, unused] : all) {
    const auto before_it = values_.find(name);
    const auto now_it = now.values_.find(name);
    const std::string before_text = before_it == values_.end() ? "not set" : before_it->second;
    const std::string now_text = now_it == now.values_.end() ? "not set" : now_it->second;
    if (before_text != now_text) return concat(name, ": ", before_text, " before, ", now_text, " now");
  }
  return "";
}

}  // namespace lriad
