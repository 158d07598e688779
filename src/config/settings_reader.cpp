#include "settings_reader.h"

#include <algorithm>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "nearest.h"

namespace lriad {
namespace {

constexpr uint64_t kLargestFile = 1 << 20;
constexpr std::size_t kListedProblems = 50;

}  // namespace

SettingsReader::SettingsReader() {
  scratch_.eval_data.emplace();
  keys_ = key_table(scratch_);
  for (const Key& key : keys_) by_name_[key.name] = &key;
  for (const std::string& name : section_names(keys_)) sections_.insert(name);
}

void SettingsReader::read_file(const std::filesystem::path& path) {
  const std::string name = shown(path.string());
  try {
    const YamlNode::Pointer root = parse_yaml(lriad::read_file("config", path, kLargestFile), name);
    Source source{name, name, /*is_file=*/true, {}};
    if (root->kind == YamlNode::Kind::kNull) return;
    if (root->kind != YamlNode::Kind::kMap) {
      all_sources_read_ = false;
      return add(concat(name, ":", root->line),
                 concat("is ", shown(*root), ", expected a map of keys, such as stage: grpo"));
    }
    take_map(*root, "", source);
  } catch (const Error& error) {
    all_sources_read_ = false;
    problems_.emplace_back(error.what());
  }
}

void SettingsReader::read_set(const std::string& set) {
  read_text(set, {concat("--set ", shown(set)), "--set", /*is_file=*/false, {}});
}

void SettingsReader::read_option(const ConfigInput::Option& option) {
  read_text(option.setting, {option.name, option.name, /*is_file=*/false, {}});
}

void SettingsReader::read_text(const std::string& text, Source source) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    all_sources_read_ = false;
    return add(source.where, "expected key.sub=value, such as grpo.beta=0.04");
  }
  try {
    take(text.substr(0, equals), parse_yaml(text.substr(equals + 1), source.where), 1, source);
  } catch (const Error& error) {
    all_sources_read_ = false;
    problems_.emplace_back(error.what());
  }
}

void SettingsReader::take_map(const YamlNode& map, const std::string& prefix, Source& source) {
  for (const auto& [key, value] : map.entries) {
    if (key->kind == YamlNode::Kind::kScalar) {
      take(prefix + key->text, value, key->line, source);
    } else {
      add(concat(source.where, ":", key->line), concat("a key is ", shown(*key), ", expected a name"));
    }
  }
}

void SettingsReader::take(const std::string& name, const YamlNode::Pointer& node, int64_t line, Source& source) {
  const auto at = [&](const std::string& source_name) {
    return source.is_file ? concat(source_name, ":", line) : source_name;
  };
  const auto key = by_name_.find(name);
  if (key == by_name_.end() && !sections_.contains(name)) return add_unknown(at(source.where), name);
  const auto [first, is_new] = source.lines.emplace(name, line);
  if (!is_new) {
    refused_.insert(name);
    return add(at(source.where), concat(name, " stands here a second time, first on line ", first->second));
  }
  if (key != by_name_.end()) return take_value(*key->second, node, {node, at(source.where), at(source.origin)});
  if (node->kind == YamlNode::Kind::kNull) return forget(name);
  if (node->kind != YamlNode::Kind::kMap) {
    refused_.insert(name);
    return add(at(source.where), concat(name, " is ", shown(*node), ", expected a map of keys"));
  }
  if (name == "eval_data") has_eval_data_ = true;
  take_map(*node, name + ".", source);
}

void SettingsReader::take_value(const Key& key, const YamlNode::Pointer& node, const Setting& setting) {
  if (node->kind == YamlNode::Kind::kNull && !key.field->nullable()) {
    settings_.erase(key.name);
    return;
  }
  settings_[key.name] = setting;
  if (key.name.starts_with("eval_data.")) has_eval_data_ = true;
  const auto problem = key.field->read(*node);
  if (!problem) return;
  refused_.insert(key.name);
  add(setting.where, concat(key.name, problem->starts_with('.') ? "" : " ", *problem));
}

void SettingsReader::forget(const std::string& section) {
  std::erase_if(settings_, [&](const auto& entry) { return entry.first.starts_with(section + "."); });
  if (section == "eval_data") has_eval_data_ = false;
}

void SettingsReader::add(const std::string& where, const std::string& text) {
  problems_.push_back(concat("[config] ", where, where.empty() ? "" : ": ", text));
}

void SettingsReader::add_unknown(const std::string& where, const std::string& name) {
  std::string near;
  if (problems_.size() < kListedProblems) {  // a search per key is slow in a file with thousands of them
    std::vector<std::string> known(sections_.begin(), sections_.end());
    for (const Key& key : keys_) known.push_back(key.name);
    near = nearest(name, known);
  }
  add(where, concat(shown(name), " is not a known key", near.empty() ? "" : concat("; did you mean ", near, "?")));
}

void SettingsReader::complain(const std::vector<std::string>& keys, const std::string& text) {
  const auto refused = [&](const std::string& key) {
    return std::any_of(refused_.begin(), refused_.end(),
                       [&](const std::string& name) { return key == name || key.starts_with(name + "."); });
  };
  if (std::any_of(keys.begin(), keys.end(), refused)) return;
  for (const std::string& key : keys) {
    const auto found = settings_.find(key);
    if (found != settings_.end()) return add(found->second.where, text);
  }
  add("", text);
}

void SettingsReader::throw_problems() const {
  if (problems_.empty()) return;
  std::string text;
  for (std::size_t i = 0; i < problems_.size() && i < kListedProblems; ++i) text += (i == 0 ? "" : "\n") + problems_[i];
  if (problems_.size() > kListedProblems) {
    text += concat("\n[config] and ", problems_.size() - kListedProblems, " problems more");
  }
  throw Error(text);
}

}  // namespace lriad
