#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "lriad/generation/generate.h"

namespace lriad {

/// Where generate_stream() takes prompts from and puts their completions.
class PromptStream {
 public:
  virtual ~PromptStream() = default;
  /// Tokens of the next prompt; 0: there is none left.
  virtual int64_t next_length() = 0;
  /// The next prompts, at most `most`, up to the first that has more than `longest` tokens.
  virtual std::vector<GenerationPrompt> take(int64_t most, int64_t longest) = 0;
  /// The completion of a prompt, by its GenerationPrompt::prompt. Completions come as they end, in no order.
  virtual void give(uint32_t prompt, Completion&& completion) = 0;
};

/// Rows to generate at once for prompts of at most so many tokens, at least 1.
using RowsAtOnce = std::function<int64_t(int64_t prompt_tokens)>;

/// Generates one completion of each prompt of a stream, over a cache whose rows take the next prompt as soon as their
/// completion has ended. Prompts need room for the longest of them, so streams that are sorted by length, the longest
/// first, waste least. num_generations and keep_allowed are not used. A completion is that of generate(), up to the
/// rounding of sums over rows of another length.
void generate_stream(Qwen2Vl& model, PromptStream& stream, const GenerationSettings& settings,
                     const RowsAtOnce& rows_at_once);

}  // namespace lriad
