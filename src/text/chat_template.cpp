#include "lriad/text/chat_template.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "chat_template_texts.h"
#include "json_file.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "utf8.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

/// The first one is taken where a folder has no template and its model_type none of its own.
std::span<const ChatTemplate> templates() {
  static const ChatTemplate all[] = {{"qwen2_vl", kQwen2VlTemplate, "You are a helpful assistant."},
                                     {"qwen3_vl", kQwen3VlTemplate, std::nullopt}};
  return all;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\f\v";
  const size_t start = text.find_first_not_of(kSpace);
  return start == std::string_view::npos ? std::string_view()
                                         : text.substr(start, text.find_last_not_of(kSpace) + 1 - start);
}

/// The start of a text as one line of an error message.
std::string beginning(std::string_view text) {
  constexpr size_t kLongest = 80;
  std::string shown = utf8::replace_invalid(text.substr(0, kLongest));
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return shown + (text.size() > kLongest ? "..." : "");
}

/// The file's template; null if it has none. Some files have a list of named templates, of which "default" is used.
std::optional<std::string> template_in(const fs::path& file) {
  const nlohmann::json root = read_json_object(file);
  const auto entry = root.find("chat_template");
  if (entry == root.end() || entry->is_null()) return std::nullopt;
  if (entry->is_string()) return entry->get<std::string>();
  if (!entry->is_array())
    fail("text", file.string(), ": chat_template is a JSON ", entry->type_name(), ", expected a text");
  for (const nlohmann::json& named : *entry) {
    const bool whole = named.is_object() && named.contains("template") && named["template"].is_string();
    if (whole && named.value("name", nlohmann::json()) == "default") return named["template"].get<std::string>();
  }
  fail("text", file.string(), ": chat_template has no entry named \"default\"");
}

/// File and text of the template that counts: transformers' processor takes that of its own config, else
/// chat_template.json, else the .jinja file; a tokenizer's own template is read where there is none of these.
std::optional<std::pair<fs::path, std::string>> find_template(const fs::path& model_dir) {
  const fs::path jinja = model_dir / "chat_template.jinja";
  for (const char* name :
       {"processor_config.json", "chat_template.json", "chat_template.jinja", "tokenizer_config.json"}) {
    const fs::path file = model_dir / name;
    if (!is_there(file)) continue;
    const auto text = file == jinja ? read_file("text", file) : template_in(file);
    if (text) return std::pair(file, *text);
  }
  return std::nullopt;
}

std::string model_type_of(const fs::path& model_dir) {
  if (!is_there(model_dir / "config.json")) return "";
  const nlohmann::json type = read_json_object(model_dir / "config.json").value("model_type", nlohmann::json());
  return type.is_string() ? type.get<std::string>() : "";
}

}  // namespace

const ChatTemplate& chat_template(std::string_view model_type) {
  const auto found = std::ranges::find(templates(), model_type, &ChatTemplate::model_type);
  return found == templates().end() ? templates().front() : *found;
}

const ChatTemplate* known_chat_template(const fs::path& model_dir) {
  const auto found = find_template(model_dir);
  if (!found) return &chat_template(model_type_of(model_dir));
  const auto same = [&](const ChatTemplate& one) { return trimmed(one.jinja) == trimmed(found->second); };
  const auto known = std::ranges::find_if(templates(), same);
  return known == templates().end() ? nullptr : &*known;
}

void check_chat_template(const fs::path& model_dir) {
  if (known_chat_template(model_dir) != nullptr) return;
  const auto [file, text] = *find_template(model_dir);
  fail("text", file.string(), ": the chat template begins \"", beginning(trimmed(text)),
       "\", expected that of Qwen2-VL, Qwen2.5-VL or Qwen3-VL (Instruct); take the file of the published model");
}

}  // namespace lriad
