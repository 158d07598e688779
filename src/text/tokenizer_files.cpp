#include "tokenizer_files.h"

#include <initializer_list>

#include "lriad/text/chat_template.h"
#include "lriad/text/train_tokenizer.h"

namespace lriad {

using nlohmann::ordered_json;

std::vector<FamilyToken> family_tokens(std::string_view model_type) {
  std::vector<FamilyToken> tokens;
  const auto add = [&](std::initializer_list<const char*> contents, bool special) {
    for (const char* content : contents) tokens.push_back({content, special});
  };
  add({"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
       "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
       "<|image_pad|>", "<|video_pad|>"},
      true);
  if (model_type == "qwen2_vl") return tokens;
  add({"<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>",
       "<|repo_name|>", "<|file_sep|>"},
      false);
  if (model_type == "qwen2_5_vl") return tokens;
  add({"<tool_response>", "</tool_response>", "<think>", "</think>"}, false);
  return tokens;
}

ordered_json added_tokens_json(std::string_view model_type, int64_t first_id) {
  ordered_json list = ordered_json::array();
  for (const auto& [content, special] : family_tokens(model_type)) {
    list.push_back({{"id", first_id++},
                    {"content", content},
                    {"single_word", false},
                    {"lstrip", false},
                    {"rstrip", false},
                    {"normalized", false},
                    {"special", special}});
  }
  return list;
}

std::string tokenizer_config_text(std::string_view model_type, const std::string& tokenizer_class, int64_t first_id) {
  ordered_json decoder = ordered_json::object(), others = ordered_json::array();
  for (ordered_json token : added_tokens_json(model_type, first_id)) {
    const std::string id = token["id"].dump();
    if (token["special"] == true && token["content"] != "<|endoftext|>") others.push_back(token["content"]);
    token.erase("id");
    decoder[id] = token;
  }
  const ordered_json config = {{"add_prefix_space", false},
                               {"added_tokens_decoder", decoder},
                               {"additional_special_tokens", others},
                               {"bos_token", nullptr},
                               {"chat_template", chat_template(model_type).jinja},
                               {"clean_up_tokenization_spaces", false},
                               {"eos_token", "<|im_end|>"},
                               {"errors", "replace"},
                               {"model_max_length", 32768},
                               {"pad_token", "<|endoftext|>"},
                               {"padding_side", "left"},
                               {"split_special_tokens", false},
                               {"tokenizer_class", tokenizer_class},
                               {"unk_token", nullptr}};
  return config.dump(2) + "\n";
}

}  // namespace lriad
