#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lriad {

/// One value of a YAML text, with the line on which it stands.
struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  using Pointer = std::shared_ptr<const YamlNode>;  ///< shared by an reference and its aliases

  Kind kind = Kind::kNull;
  int64_t line = 0;     ///< from 1
  bool quoted = false;  ///< a scalar in quotes or a block, which is text whatever it looks like
  std::string text;     ///< of a scalar
  std::vector<Pointer> items;
  std::vector<std::pair<Pointer, Pointer>> entries;  ///< of a map, in order, equal keys kept
};

/// Parses one document; an empty text is null. Aliases are followed. Throws Error("[config] where:line: ...") for
/// text that is no YAML, invalid UTF-8, NUL bytes, tags, nesting deeper than 16 and a second document; `where` names
/// the file or option.
YamlNode::Pointer parse_yaml(const std::string& text, std::string_view where);

/// The text on one line for a message: control characters escaped, cut after about 80 bytes.
std::string shown(std::string_view text);

/// What stands there, for a message: the text, "a list", "a map" or "null".
std::string shown(const YamlNode& node);

}  // namespace lriad
