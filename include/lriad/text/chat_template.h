#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

namespace lriad {

/// A chat template that is rendered here. Without tools all known ones differ in their system turn alone.
struct ChatTemplate {
  std::string_view model_type;                     ///< of the first models that have it
  std::string_view jinja;                          ///< as published: what a model folder carries
  std::optional<std::string_view> default_system;  ///< system turn of a chat without one; null: none
};

/// The template published with models of that model_type.
const ChatTemplate& chat_template(std::string_view model_type);

/// The template of a model folder, by its text up to outer white space, in transformers' order: chat_template.json,
/// chat_template.jinja, tokenizer_config.json; of a folder without any, that of config.json's model_type. Null for a
/// template that is not known here. Throws Error naming a damaged file.
const ChatTemplate* known_chat_template(const std::filesystem::path& model_dir);

/// Throws Error naming the template's file if known_chat_template() is null.
void check_chat_template(const std::filesystem::path& model_dir);

}  // namespace lriad
