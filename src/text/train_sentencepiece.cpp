#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <sstream>
#include <unordered_map>

#include "lriad/core/error.h"
#include "lriad/text/train_tokenizer.h"
#include "tokenizer_files.h"

namespace lriad {
namespace {

/// Gives the lines of the texts to the library's trainer.
class Lines : public sentencepiece::SentenceIterator {
 public:
  explicit Lines(const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      std::istringstream in(text);
      for (std::string line; std::getline(in, line);) lines_.push_back(line);
    }
  }
  bool done() const override { return at_ == lines_.size(); }
  void Next() override { ++at_; }
  const std::string& value() const override { return lines_[at_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  std::vector<std::string> lines_;
  std::size_t at_ = 0;
};

}  // namespace

TokenizerFiles train_sentencepiece_tokenizer(const std::vector<std::string>& texts, int64_t size,
                                             std::string_view model_type) {
  const int64_t pieces = size - static_cast<int64_t>(family_tokens(model_type).size());
  // split_by_unicode_script keeps letters and signs in separate pieces, so that A in <answer>A is one token.
  const std::unordered_map<std::string, std::string> options = {{"model_type", "bpe"},
                                                                {"vocab_size", std::to_string(pieces)},
                                                                {"hard_vocab_limit", "false"},
                                                                {"byte_fallback", "true"},
                                                                {"character_coverage", "1.0"},
                                                                {"normalization_rule_name", "identity"},
                                                                {"add_dummy_prefix", "false"},
                                                                {"remove_extra_whitespaces", "false"},
                                                                {"split_by_unicode_script", "true"},
                                                                {"num_threads", "1"},
                                                                {"minloglevel", "2"}};
  Lines lines(texts);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(options, &lines, &model);
  if (!status.ok()) fail("text", "sentencepiece cannot train ", pieces, " pieces: ", status.ToString());
  sentencepiece::SentencePieceProcessor processor;
  const auto loaded = processor.LoadFromSerializedProto(model);
  if (!loaded.ok()) fail("text", "sentencepiece cannot read its own model: ", loaded.ToString());
  return {{"tokenizer.model", model},
          {"tokenizer_config.json", tokenizer_config_text(model_type, "LlamaTokenizer", processor.GetPieceSize())}};
}

}  // namespace lriad
