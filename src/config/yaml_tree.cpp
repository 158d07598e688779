#include "yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "lriad/core/error.h"
#include "lriad/core/files.h"

namespace lriad {
namespace {

constexpr std::size_t kMaxDepth = 16;
constexpr std::size_t kShownBytes = 80;

/// Builds the tree from the parser's events.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string_view where) : where_(where) {}
  YamlNode::Pointer root() const { return root_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(node(mark, YamlNode::Kind::kNull), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) refuse(mark, "an alias stands inside its own anchor");
    place(found->second);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_tag(mark, tag);
    auto scalar = node(mark, YamlNode::Kind::kScalar);
    scalar->quoted = tag != "?";
    scalar->text = value;
    if (value.find('\0') != std::string::npos) refuse(mark, "the text holds a NUL character");
    add(std::move(scalar), anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    open(node(mark, YamlNode::Kind::kList), anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    open(node(mark, YamlNode::Kind::kMap), anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    std::shared_ptr<YamlNode> node;
    YAML::anchor_t anchor;
    YamlNode::Pointer key;  ///< of a map, while its value is awaited
  };

  [[noreturn]] void refuse(const YAML::Mark& mark, const std::string& text) const {
    fail("config", where_, ":", mark.line + 1, ": ", text);
  }
  void check_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (tag.empty() || tag == "?" || tag == "!") return;
    refuse(mark, concat("the tag ", shown(tag), " is not supported; write the value without it"));
  }
  static std::shared_ptr<YamlNode> node(const YAML::Mark& mark, YamlNode::Kind kind) {
    auto made = std::make_shared<YamlNode>();
    made->kind = kind;
    made->line = mark.line + 1;
    return made;
  }
  void open(std::shared_ptr<YamlNode> made, YAML::anchor_t anchor) {
    if (open_.size() >= kMaxDepth) {
      fail("config", where_, ":", made->line, ": nested deeper than ", kMaxDepth, ", which no key needs");
    }
    open_.push_back({std::move(made), anchor, nullptr});
  }
  void close() {
    const Open done = std::move(open_.back());
    open_.pop_back();
    add(done.node, done.anchor);
  }
  void add(YamlNode::Pointer made, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = made;
    place(std::move(made));
  }
  void place(YamlNode::Pointer made) {
    if (open_.empty()) {
      root_ = std::move(made);
      return;
    }
    Open& parent = open_.back();
    if (parent.node->kind == YamlNode::Kind::kList) {
      parent.node->items.push_back(std::move(made));
    } else if (parent.key == nullptr) {
      parent.key = std::move(made);
    } else {
      parent.node->entries.emplace_back(std::exchange(parent.key, nullptr), std::move(made));
    }
  }

  std::string where_;
  YamlNode::Pointer root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, YamlNode::Pointer> anchors_;
};

void check_bytes(const std::string& text, const std::string& where) {
  if (text.find('\0') != std::string::npos) fail("config", where, " holds NUL bytes, expected YAML text in UTF-8");
  if (is_utf8(text)) return;
  int64_t line = 1;
  std::istringstream lines(text);
  for (std::string one; std::getline(lines, one) && is_utf8(one);) ++line;
  fail("config", where, ":", line, ": not UTF-8, expected YAML text in UTF-8");
}

/// A tab in the indentation is the commonest reason for "illegal map value".
std::string hint(const std::string& text, int64_t line) {
  std::istringstream lines(text);
  std::string one;
  for (int64_t at = 1; std::getline(lines, one) && at < line;) ++at;
  return one.substr(0, one.find_first_not_of(" \t")).find('\t') == std::string::npos
             ? ""
             : "; the line is indented with a tab, use spaces";
}

}  // namespace

YamlNode::Pointer parse_yaml(const std::string& text, std::string_view where) {
  const std::string name = shown(where);
  check_bytes(text, name);
  TreeBuilder builder(name);
  try {
    std::istringstream in(text);
    YAML::Parser parser(in);
    parser.HandleNextDocument(builder);
    TreeBuilder second(name);
    if (parser.HandleNextDocument(second)) fail("config", name, ": holds more than one document, expected one");
  } catch (const YAML::Exception& problem) {
    const int64_t line = problem.mark.line + 1;
    fail("config", name, ":", line, ": not valid YAML: ", shown(problem.msg), hint(text, line));
  }
  return builder.root() != nullptr ? builder.root() : std::make_shared<YamlNode>();
}

std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool continues = (byte & 0xC0) == 0x80;
    if (out.size() >= kShownBytes && !continues) return out + "...";
    if (byte < 0x20 || byte == 0x7F) {
      out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : "?";
    } else {
      out += c;
    }
  }
  return out;
}

std::string shown(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "null";
    case YamlNode::Kind::kList:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a map";
    case YamlNode::Kind::kScalar:
      break;
  }
  return node.quoted ? concat('"', shown(node.text), '"') : shown(node.text);
}

}  // namespace lriad
