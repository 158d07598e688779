#include <algorithm>

#include "key_table.h"
#include "lriad/config/load_config.h"
#include "lriad/core/error.h"
#include "yaml_text.h"

namespace lriad {
namespace {

constexpr std::size_t kCommentColumn = 44;

std::string with_comment(std::string line, const std::string& comment) {
  const std::size_t wide = std::max(line.size() + 2, kCommentColumn);
  line.resize(wide, ' ');
  return concat(line, "# ", comment, "\n");
}

std::vector<std::string> parts_of(const std::string& name) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    parts.push_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

/// Opens the sections of a key that the key before it did not lie in.
std::string section_heads(const std::vector<std::string>& before, const std::vector<std::string>& now) {
  std::string out;
  bool same = true;
  for (std::size_t depth = 0; depth + 1 < now.size(); ++depth) {
    same = same && depth + 1 < before.size() && before[depth] == now[depth];
    if (!same) out += concat(std::string(2 * depth, ' '), now[depth], ":\n");
  }
  return out;
}

std::string key_lines(const Key& key, const std::string& last, std::size_t depth, const std::string& origin) {
  const std::string start = std::string(2 * depth, ' ') + last + ": ";
  const std::string comment = concat(origin, "; ", key.comment);
  const std::string* text = key.field->plain_text();
  if (text != nullptr && fits_block(*text))
    return with_comment(start + "|-", comment) + yaml_block(*text, 2 * depth + 2);
  return with_comment(start + key.field->write(), comment);
}

}  // namespace

std::string print_config(const LoadedConfig& loaded) {
  Config config = loaded.config;
  std::string out;
  std::vector<std::string> before;
  for (const Key& key : key_table(config)) {
    const std::vector<std::string> parts = parts_of(key.name);
    if (parts[0] == "prompt" && before[0] != "prompt" && !config.eval_data) {
      out += with_comment("eval_data: null", "default; keys as data: what eval_steps evaluates on");
    }
    const auto origin = loaded.origins.find(key.name);
    out += section_heads(before, parts);
    out += key_lines(key, parts.back(), parts.size() - 1, origin == loaded.origins.end() ? "default" : origin->second);
    before = parts;
  }
  return out;
}

std::string canonical_config(const Config& config) {
  Config copy = config;
  std::string out;
  if (!config.eval_data) out += "eval_data: null\n";
  for (const Key& key : key_table(copy)) out += concat(key.name, ": ", key.field->write(), "\n");
  return out;
}

}  // namespace lriad
