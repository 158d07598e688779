#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "key_table.h"
#include "lriad/config/load_config.h"

namespace lriad {

/// One value that somebody set.
struct Setting {
  YamlNode::Pointer node;
  std::string where;   ///< for messages: "configs/a.yaml:12", "--set grpo.beta=x", "--output"
  std::string origin;  ///< for print_config: "configs/a.yaml:12", "--set", "--output"
};

/// Takes settings from files, --set and options, later ones over earlier ones, and collects every problem.
class SettingsReader {
 public:
  SettingsReader();

  void read_file(const std::filesystem::path& path);
  void read_set(const std::string& set);
  void read_option(const ConfigInput::Option& option);

  /// Settings by key, the last of each; keys set to null keep no setting unless null is a value of theirs.
  const std::map<std::string, Setting>& settings() const { return settings_; }
  bool has_eval_data() const { return has_eval_data_; }
  bool all_sources_read() const { return all_sources_read_; }

  /// Adds a problem, unless one of `keys` was refused already; it stands at the first of them that is set.
  void complain(const std::vector<std::string>& keys, const std::string& text);
  /// Throws Error with all problems, one a line, if there are any.
  void throw_problems() const;

 private:
  struct Source {
    std::string where, origin;
    bool is_file;
    std::map<std::string, int64_t> lines;  ///< of the keys and sections seen
  };
  void take_map(const YamlNode& map, const std::string& prefix, Source& source);
  void take(const std::string& name, const YamlNode::Pointer& node, int64_t line, Source& source);
  void take_value(const Key& key, const YamlNode::Pointer& node, const Setting& setting);
  void forget(const std::string& section);
  void read_text(const std::string& text, Source source);
  void add(const std::string& where, const std::string& text);
  void add_unknown(const std::string& where, const std::string& name);

  Config scratch_;
  std::vector<Key> keys_;  ///< of scratch_, where every value is tried
  std::map<std::string, const Key*> by_name_;
  std::set<std::string> sections_;
  std::map<std::string, Setting> settings_;
  bool has_eval_data_ = false;
  bool all_sources_read_ = true;
  std::set<std::string> refused_;  ///< keys with a problem
  std::vector<std::string> problems_;
};

}  // namespace lriad
