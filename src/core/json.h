#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "lriad/core/error.h"
#include "lriad/core/files.h"

namespace lriad {

/// Deepest nesting that is read. Functions that walk a value recurse once per level, so a hostile file could otherwise
/// exhaust the stack.
inline constexpr int kMaxJsonDepth = 64;

/// Most keys of one object in an ordered_json, which searches all keys for each new one (quadratic time).
inline constexpr std::size_t kMaxOrderedKeys = 10'000;

/// Parses JSON that may be hostile. The value is discarded (is_discarded()) and `problem` says why if the text is not
/// JSON, is nested deeper than kMaxJsonDepth or has a key twice in one object, since readers differ in which of the two
/// they take. `Json` is nlohmann::json or nlohmann::ordered_json.
template <class Json = nlohmann::json>
Json parse_json(std::string_view text, std::string* problem = nullptr) {
  using Event = typename Json::parse_event_t;
  std::string ignored;
  std::string& why = problem == nullptr ? ignored : *problem;
  std::vector<std::unordered_set<std::string>> keys;
  const auto watch = [&](int depth, Event event, const Json& value) {
    if (depth > kMaxJsonDepth) throw std::length_error(concat("is nested deeper than ", kMaxJsonDepth, " levels"));
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event != Event::key) return true;
    if (!keys.back().insert(value.template get_ref<const std::string&>()).second)
      throw std::invalid_argument(
          concat("has the key ", value.dump(-1, ' ', /*ensure_ascii=*/true).substr(0, 80), " twice in one object"));
    if (std::is_same_v<Json, nlohmann::ordered_json> && keys.back().size() > kMaxOrderedKeys)
      throw std::length_error(concat("has an object of more than ", kMaxOrderedKeys, " keys"));
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const nlohmann::json::parse_error& error) {
    why = concat("is not valid JSON, got an error at byte ", error.byte, " of ", text.size());
  } catch (const nlohmann::json::exception&) {
    why = "is not valid JSON, got a number that is too large";
  } catch (const std::logic_error& error) {
    why = error.what();
  }
  return Json(Json::value_t::discarded);
}

/// As above for a text that must be a JSON object; if it is another value, `problem` says so.
template <class Json = nlohmann::json>
Json parse_json_object(std::string_view text, std::string& problem) {
  Json value = parse_json<Json>(text, &problem);
  if (!value.is_discarded() && !value.is_object())
    problem = concat("is not a JSON object, got a JSON ", value.type_name());
  return value;
}

/// Reads a JSON object from a file of at most `max_bytes`; throws Error("[where] ...") naming the file.
template <class Json = nlohmann::json>
Json read_json_object(std::string_view where, const std::filesystem::path& path, uint64_t max_bytes = 16 << 20) {
  std::string problem;
  Json value = parse_json_object<Json>(read_file(where, path, max_bytes), problem);
  if (!value.is_object()) fail(where, path.string(), " ", problem, "; write or download the file again");
  return value;
}

/// The value as a line of a JSONL file. Bytes that are not UTF-8 are replaced. U+0085, U+2028 and U+2029, which JSON
/// allows in strings but Python's str.splitlines takes for line ends, are escaped.
template <class Json>
std::string json_line(const Json& value) {
  std::string line = value.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
  for (const auto& [end, escape] : {std::pair<std::string_view, std::string_view>{"\xC2\x85", "\\u0085"},
                                    {"\xE2\x80\xA8", "\\u2028"},
                                    {"\xE2\x80\xA9", "\\u2029"}}) {
    for (std::size_t at = line.find(end); at != std::string::npos; at = line.find(end, at)) {
      line.replace(at, end.size(), escape);
    }
  }
  return line;
}

/// The value as an integer. Throws nlohmann's type_error if it is none; get<int64_t>() would cut off fractions and
/// convert numbers beyond int64 to an undefined result.
template <class Json>
int64_t whole_number(const Json& value) {
  return value.template get_ref<const typename Json::number_integer_t&>();
}

}  // namespace lriad
