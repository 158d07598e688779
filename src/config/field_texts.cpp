#include <algorithm>
#include <set>

#include "field.h"
#include "lriad/core/error.h"
#include "nearest.h"
#include "yaml_text.h"

namespace lriad {
namespace {

using Problem = std::optional<std::string>;
using Kind = YamlNode::Kind;

Problem expected(const YamlNode& node, const std::string& what) {
  return concat("is ", shown(node), ", expected ", what);
}

std::string write_list(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + yaml_scalar(text);
  return "[" + out + "]";
}

/// A list of texts that are not empty, each once.
Problem read_list(const YamlNode& node, std::vector<std::string>& texts) {
  if (node.kind != Kind::kList || node.items.empty()) return expected(node, "a list of texts that is not empty");
  texts.clear();
  std::set<std::string> seen;
  for (const auto& item : node.items) {
    if (item->kind != Kind::kScalar || item->text.empty()) {
      return concat("has the item ", item->kind == Kind::kScalar ? "\"\"" : shown(*item), ", expected a text");
    }
    if (!seen.insert(item->text).second) return concat("has ", shown(item->text), " twice");
    texts.push_back(item->text);
  }
  return {};
}

class TextField : public Field {
 public:
  TextField(std::string& value, TextRule rule) : value_(value), rule_(std::move(rule)) {}
  Problem read(const YamlNode& node) override {
    if (node.kind != Kind::kScalar) return expected(node, "a text");
    if (const char* what = rule_(node.text)) return expected(node, what);
    value_ = node.text;
    return {};
  }
  /// Empty is "not set" for every text that must not be empty.
  std::string write() const override { return value_.empty() ? "null" : yaml_scalar(value_); }
  const std::string* plain_text() const override { return &value_; }

 private:
  std::string& value_;
  TextRule rule_;
};

class OptionalTextField : public Field {
 public:
  OptionalTextField(std::optional<std::string>& value, TextRule rule) : value_(value), rule_(std::move(rule)) {}
  Problem read(const YamlNode& node) override {
    if (node.kind == Kind::kNull) {
      value_.reset();
      return {};
    }
    std::string text;
    if (Problem problem = TextField(text, rule_).read(node)) return problem;
    value_ = text;
    return {};
  }
  std::string write() const override { return value_ ? yaml_scalar(*value_) : "null"; }
  bool nullable() const override { return true; }
  const std::string* plain_text() const override { return value_ ? &*value_ : nullptr; }

 private:
  std::optional<std::string>& value_;
  TextRule rule_;
};

class ModulesField : public Field {
 public:
  ModulesField(ModuleNames& value, Null null) : value_(value), null_(null) {}
  Problem read(const YamlNode& node) override {
    value_ = {};
    if (nullable() && node.kind == Kind::kNull) return {};
    if (node.kind == Kind::kList) return read_list(node, value_.names);
    if (node.kind != Kind::kScalar || node.text.empty())
      return expected(node, "a list of texts that is not empty, or a regular expression");
    value_.expression = node.text;
    return {};
  }
  std::string write() const override {
    if (value_.empty()) return "null";
    return value_.names.empty() ? yaml_scalar(value_.expression) : write_list(value_.names);
  }
  bool nullable() const override { return null_ == Null::kNone; }

 private:
  ModuleNames& value_;
  Null null_;
};

class OptionalListField : public Field {
 public:
  explicit OptionalListField(std::optional<std::vector<std::string>>& value) : value_(value) {}
  Problem read(const YamlNode& node) override {
    value_.reset();
    if (node.kind == Kind::kNull) return {};
    return read_list(node, value_.emplace());
  }
  std::string write() const override { return value_ ? write_list(*value_) : "null"; }
  bool nullable() const override { return true; }

 private:
  std::optional<std::vector<std::string>>& value_;
};

class NamesField : public Field {
 public:
  explicit NamesField(std::map<std::string, std::string>& value) : value_(value) {}
  Problem read(const YamlNode& node) override {
    if (node.kind != Kind::kMap)
      return expected(node, "a map from object to name, such as {\"01\": \"circular mold\"}");
    value_.clear();
    for (const auto& [key, name] : node.entries) {
      if (key->kind != Kind::kScalar || name->kind != Kind::kScalar || name->text.empty()) {
        return concat("has ", shown(*key), ": ", shown(*name), ", expected a text for each object");
      }
      if (!value_.emplace(key->text, name->text).second) return concat("has ", shown(key->text), " twice");
    }
    return {};
  }
  std::string write() const override {
    std::string out;
    for (const auto& [key, name] : value_) {
      out += concat(out.empty() ? "" : ", ", yaml_scalar(key), ": ", yaml_scalar(name));
    }
    return "{" + out + "}";
  }

 private:
  std::map<std::string, std::string>& value_;
};

class ResponsesField : public Field {
 public:
  explicit ResponsesField(std::map<std::string, std::vector<std::string>>& value) : value_(value) {}
  Problem read(const YamlNode& node) override {
    if (node.kind != Kind::kMap) return expected(node, "a map {defect: [texts], normal: [texts]}");
    value_.clear();
    for (const auto& [key, texts] : node.entries) {
      if (key->kind != Kind::kScalar || (key->text != "defect" && key->text != "normal")) {
        return concat("has the key ", shown(*key), ", expected defect and normal");
      }
      if (value_.contains(key->text)) return concat("has ", key->text, " twice");
      if (Problem problem = read_list(*texts, value_[key->text])) return concat(".", key->text, " ", *problem);
    }
    return {};
  }
  std::string write() const override {
    std::string out;
    for (const auto& [key, texts] : value_) out += concat(out.empty() ? "" : ", ", key, ": ", write_list(texts));
    return "{" + out + "}";
  }

 private:
  std::map<std::string, std::vector<std::string>>& value_;
};

class ChoiceField : public Field {
 public:
  explicit ChoiceField(Choice choice) : choice_(std::move(choice)) {}
  Problem read(const YamlNode& node) override {
    const auto& words = choice_.words;
    const auto found = std::find(words.begin(), words.end(), node.text);
    if (node.kind == Kind::kScalar && found != words.end()) {
      choice_.set(static_cast<std::size_t>(found - words.begin()));
      return {};
    }
    std::string list;
    for (std::size_t i = 0; i < words.size(); ++i) {
      list += concat(i == 0 ? "" : i + 1 == words.size() ? " or " : ", ", words[i]);
    }
    const std::string near = node.kind == Kind::kScalar ? nearest(node.text, words) : "";
    return expected(node, concat(list, near.empty() ? "" : concat("; did you mean ", near, "?")));
  }
  std::string write() const override { return yaml_scalar(choice_.words[choice_.get()]); }

 private:
  Choice choice_;
};

class DevicesField : public Field {
 public:
  explicit DevicesField(std::string& value) : value_(value) {}
  Problem read(const YamlNode& node) override {
    std::string text = node.text;
    for (const auto& item : node.items) text += item->text + ",";  // "3," is the list of GPU 3 alone
    if (node.kind == Kind::kMap || node.kind == Kind::kNull || !fits(text)) {
      return concat("is ", node.kind == Kind::kList ? shown(text) : shown(node),
                    ", expected auto, cpu, a number of processes, or a list of GPUs such as 0,1,3");
    }
    value_ = text;
    return {};
  }
  std::string write() const override { return yaml_scalar(value_); }

 private:
  static bool fits(std::string text) {
    if (text == "auto" || text == "cpu") return true;
    const bool list = text.find(',') != std::string::npos;
    if (!list) return !text.empty() && text.size() <= 3 && all_digits(text) && std::stoi(text) > 0;
    if (text.back() == ',') text.pop_back();
    std::set<std::string> seen;
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find(',', begin), text.size());
      const std::string part = text.substr(begin, end - begin);
      if (part.empty() || part.size() > 3 || !all_digits(part) || !seen.insert(part).second) return false;
      begin = end + 1;
    }
    return true;
  }
  static bool all_digits(const std::string& text) { return text.find_first_not_of("0123456789") == std::string::npos; }
  std::string& value_;
};

}  // namespace

const char* not_empty(const std::string& text) { return text.empty() ? "a text that is not empty" : nullptr; }

FieldPointer text_field(std::string& value, TextRule rule) {
  return std::make_unique<TextField>(value, std::move(rule));
}
FieldPointer text_field(std::optional<std::string>& value, TextRule rule) {
  return std::make_unique<OptionalTextField>(value, std::move(rule));
}
FieldPointer list_field(std::optional<std::vector<std::string>>& value) {
  return std::make_unique<OptionalListField>(value);
}
FieldPointer modules_field(ModuleNames& value, Null null) { return std::make_unique<ModulesField>(value, null); }
FieldPointer names_field(std::map<std::string, std::string>& value) { return std::make_unique<NamesField>(value); }
FieldPointer responses_field(std::map<std::string, std::vector<std::string>>& value) {
  return std::make_unique<ResponsesField>(value);
}
FieldPointer devices_field(std::string& value) { return std::make_unique<DevicesField>(value); }
FieldPointer choice_field(Choice choice) { return std::make_unique<ChoiceField>(std::move(choice)); }
FieldPointer word_field(std::string& value, std::vector<std::string> words) {
  Choice choice;
  choice.get = [&value, words] { return static_cast<std::size_t>(std::ranges::find(words, value) - words.begin()); };
  choice.set = [&value, words](std::size_t at) { value = words[at]; };
  choice.words = std::move(words);
  return choice_field(std::move(choice));
}

}  // namespace lriad
