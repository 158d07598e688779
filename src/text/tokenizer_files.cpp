#include "tokenizer_files.h"

#include "lriad/text/chat_prompt.h"
#include "lriad/text/train_tokenizer.h"

namespace lriad {

using nlohmann::ordered_json;

const std::vector<std::string>& qwen2_special_tokens() {
  static const std::vector<std::string> tokens = {
      "<|endoftext|>",  "<|im_start|>",   "<|im_end|>",     "<|object_ref_start|>", "<|object_ref_end|>",
      "<|box_start|>",  "<|box_end|>",    "<|quad_start|>", "<|quad_end|>",         "<|vision_start|>",
      "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>",  "<|video_pad|>"};
  return tokens;
}

ordered_json added_tokens_json(int64_t first_id) {
  ordered_json list = ordered_json::array();
  for (const std::string& token : qwen2_special_tokens()) {
    list.push_back({{"id", first_id++},
                    {"content", token},
                    {"single_word", false},
                    {"lstrip", false},
                    {"rstrip", false},
                    {"normalized", false},
                    {"special", true}});
  }
  return list;
}

std::string tokenizer_config_text(const std::string& tokenizer_class, int64_t first_id) {
  ordered_json decoder = ordered_json::object(), others = ordered_json::array();
  for (ordered_json token : added_tokens_json(first_id)) {
    const std::string id = token["id"].dump();
    if (token["content"] != "<|endoftext|>") others.push_back(token["content"]);
    token.erase("id");
    decoder[id] = token;
  }
  const ordered_json config = {{"add_prefix_space", false},
                               {"added_tokens_decoder", decoder},
                               {"additional_special_tokens", others},
                               {"bos_token", nullptr},
                               {"chat_template", chat_template()},
                               {"clean_up_tokenization_spaces", false},
                               {"eos_token", "<|im_end|>"},
                               {"errors", "replace"},
                               {"model_max_length", 32768},
                               {"pad_token", "<|endoftext|>"},
                               {"padding_side", "left"},
                               {"processor_class", "Qwen2VLProcessor"},
                               {"split_special_tokens", false},
                               {"tokenizer_class", tokenizer_class},
                               {"unk_token", nullptr}};
  return config.dump(2) + "\n";
}

}  // namespace lriad
