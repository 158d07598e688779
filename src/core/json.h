#pragma once

#include <exception>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

namespace lriad {

/// The JSON value that a text of a user's file holds; discarded (is_discarded()) if it is not JSON or is nested deeper
/// than 64: whatever walks a value calls itself for each level, and a hostile file could exhaust the stack.
inline nlohmann::json parse_json(std::string_view text) {
  const auto shallow = [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > 64) throw std::length_error("nested too deep");
    return true;
  };
  try {
    return nlohmann::json::parse(text, shallow);
  } catch (const std::exception&) {
    return nlohmann::json(nlohmann::json::value_t::discarded);
  }
}

}  // namespace lriad
