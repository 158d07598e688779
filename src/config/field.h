#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lriad/config/module_names.h"
#include "yaml_tree.h"

namespace lriad {

/// The value of one key: how it is read from YAML, checked and written back. Holds a reference to a member of a Config.
class Field {
 public:
  Field() = default;
  virtual ~Field() = default;
  Field(const Field&) = delete;
  Field& operator=(const Field&) = delete;

  /// Takes the node's value. Returns nothing, or what is wrong: "is 1.5, expected 0 to 1".
  [[nodiscard]] virtual std::optional<std::string> read(const YamlNode& node) = 0;
  /// The value in YAML, on one line.
  virtual std::string write() const = 0;
  /// True if null is a value of its own; elsewhere it stands for the default.
  virtual bool nullable() const { return false; }
  /// The value as plain text if it is one, which print_config() may write as a block.
  virtual const std::string* plain_text() const { return nullptr; }
};
using FieldPointer = std::unique_ptr<Field>;

/// Which ends an interval leaves out.
enum class Ends { kBoth, kWithoutLow, kWithoutHigh };
struct Interval {
  double low, high;
  Ends ends = Ends::kBoth;
};
struct Whole {
  int64_t low, high;
  const char* zero_name = nullptr;  ///< word for 0, such as auto
};

/// Rules of a text: returns what is expected, or null if the text will do.
using TextRule = std::function<const char*(const std::string&)>;
const char* not_empty(const std::string& text);

FieldPointer integer_field(int64_t& value, Whole range);
FieldPointer integer_field(std::optional<int64_t>& value, Whole range);
FieldPointer seed_field(uint64_t& value);
FieldPointer real_field(double& value, Interval range);
FieldPointer real_field(std::optional<double>& value, Interval range);
FieldPointer flag_field(bool& value);
FieldPointer text_field(std::string& value, TextRule rule);
FieldPointer text_field(std::optional<std::string>& value, TextRule rule);
FieldPointer list_field(std::optional<std::vector<std::string>>& value);
enum class Null { kDefault, kNone };
/// A list of names, or a regular expression as text. `null` says what null stands for.
FieldPointer modules_field(ModuleNames& value, Null null);
FieldPointer names_field(std::map<std::string, std::string>& value);
FieldPointer responses_field(std::map<std::string, std::vector<std::string>>& value);
/// auto, cpu, a number of processes or a list of GPUs, as text or as a YAML list.
FieldPointer devices_field(std::string& value);

/// One of several words. `get` gives and `set` takes the index into `words`.
struct Choice {
  std::vector<std::string> words;
  std::function<std::size_t()> get;
  std::function<void(std::size_t)> set;
};
FieldPointer choice_field(Choice choice);
/// A choice kept as its word.
FieldPointer word_field(std::string& value, std::vector<std::string> words);

/// A choice that sets an enum: the words in the order of `values`.
template <class Enum>
FieldPointer choice_field(Enum& value, const std::vector<std::pair<std::string, Enum>>& table) {
  Choice choice;
  for (const auto& row : table) choice.words.push_back(row.first);
  choice.get = [&value, table] {
    std::size_t at = 0;
    while (at + 1 < table.size() && table[at].second != value) ++at;
    return at;
  };
  choice.set = [&value, table](std::size_t at) { value = table[at].second; };
  return choice_field(std::move(choice));
}

}  // namespace lriad
