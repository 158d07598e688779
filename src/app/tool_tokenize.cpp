#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "lriad/core/error.h"
#include "lriad/model/model_folder.h"
#include "lriad/text/tokenizer.h"
#include "tool_commands.h"

namespace lriad {
namespace {

using nlohmann::json;

struct TokenizeOptions {
  std::string model;
  bool no_special = false, decode = false, json_lines = false;
};

std::string text_of(const std::string& line, int64_t number, bool json_line) {
  if (!json_line) return line;
  const json value = parse_json(line);
  if (!value.is_string()) fail("app", "line ", number, " of the input is not a JSON string");
  return value.get<std::string>();
}

std::vector<int64_t> ids_of(const std::string& line, int64_t number) {
  const json value = parse_json(line);
  bool good = value.is_array();
  for (const json& id : value) good = good && id.is_number_integer();
  if (!good) fail("app", "line ", number, " of the input is not a JSON list of ids");
  return value.get<std::vector<int64_t>>();
}

void tokenize(const TokenizeOptions& options) {
  const Tokenizer tokenizer = Tokenizer::load(hub_snapshot(options.model));
  const auto special = options.no_special ? Tokenizer::Special::kAsText : Tokenizer::Special::kParse;
  std::string line;
  for (int64_t number = 1; std::getline(std::cin, line); ++number) {
    if (options.decode) {
      const std::string text = tokenizer.decode(ids_of(line, number), options.no_special);
      std::cout << (options.json_lines ? json_line(json(text)) : text) << "\n";
    } else {
      std::cout << json(tokenizer.encode(text_of(line, number, options.json_lines), special)).dump() << "\n";
    }
  }
}

}  // namespace

void add_tokenize_command(CLI::App& app) {
  const auto options = std::make_shared<TokenizeOptions>();
  CLI::App* command =
      app.add_subcommand("tokenize", "Turns each line of the input into a JSON list of token ids, or back");
  command->add_option("--model", options->model, "model folder, or any folder with a tokenizer")->required();
  command->add_flag("--no-special", options->no_special,
                    "special tokens in the text are text; with --decode they are left out");
  command->add_flag("--decode", options->decode, "lists of ids become text");
  command->add_flag("--json", options->json_lines,
                    "texts are JSON strings, one a line, so that they may hold line ends");
  command->callback([options] { tokenize(*options); });
}

}  // namespace lriad
