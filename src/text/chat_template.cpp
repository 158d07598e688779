#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "json_file.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/text/chat_prompt.h"
#include "utf8.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

/// The Jinja template as published with Qwen2-VL; 2B, 7B and 72B have the same one.
constexpr std::string_view kTemplate =
    "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}"
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou are a helpful "
    "assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}{{ "
    "message['content'] }}<|im_end|>\n{% else %}"
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}"
    "{% set image_count.value = image_count.value + 1 %}"
    "{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}<|vision_start|><|image_pad|><|vision_end|>{% "
    "elif content['type'] == 'video' or 'video' in content %}"
    "{% set video_count.value = video_count.value + 1 %}"
    "{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}<|vision_start|><|video_pad|><|vision_end|>{% "
    "elif 'text' in content %}{{ content['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

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

void check_text(const fs::path& file, std::string_view text) {
  if (trimmed(text) == kTemplate) return;
  fail("text", file.string(), ": the chat template begins \"", beginning(trimmed(text)),
       "\", expected Qwen2-VL's; take the file of the published model");
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

}  // namespace

std::string_view chat_template() { return kTemplate; }

void check_chat_template(const fs::path& model_dir) {
  const fs::path jinja = model_dir / "chat_template.jinja";
  if (is_there(jinja)) {
    check_text(jinja, read_file("text", jinja));
    return;
  }
  for (const char* name : {"chat_template.json", "tokenizer_config.json"}) {
    if (!is_there(model_dir / name)) continue;
    const auto text = template_in(model_dir / name);
    if (!text) continue;
    check_text(model_dir / name, *text);
    return;
  }
}

}  // namespace lriad
