#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "json_file.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "split_pattern.h"
#include "vocabulary.h"

namespace lriad {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/// A JSON value, shortened for an error message.
std::string shown(const json& value) {
  constexpr size_t kLongest = 160;
  const std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() <= kLongest ? text : text.substr(0, kLongest) + "...";
}

json member(const json& object, const char* key) { return object.is_object() ? object.value(key, json()) : json(); }

bool has_type(const json& part, const char* type) { return member(part, "type") == type; }

[[noreturn]] void refuse(const fs::path& file, const char* part, const json& found, const std::string& expected) {
  fail("text", file.string(), ": ", part, " is ", shown(found), ", expected ", expected,
       "; only the byte-level BPE of Qwen2-VL is read from this file");
}

bool is_qwen2_split(const json& part) {
  return has_type(part, "Split") && member(member(part, "pattern"), "Regex") == kSplitPattern &&
         member(part, "behavior") == "Isolated" && member(part, "invert") != true;
}

bool is_plain_byte_level(const json& part) {
  return has_type(part, "ByteLevel") && member(part, "add_prefix_space") == false && member(part, "use_regex") == false;
}

void check_pipeline(const fs::path& file, const json& root) {
  const json normalizer = member(root, "normalizer");
  if (!has_type(normalizer, "NFC")) refuse(file, "normalizer", normalizer, "{\"type\":\"NFC\"}");
  const json pre = member(root, "pre_tokenizer");
  const json steps = member(pre, "pretokenizers");
  const bool qwen2 = has_type(pre, "Sequence") && steps.is_array() && steps.size() == 2 && is_qwen2_split(steps[0]) &&
                     is_plain_byte_level(steps[1]);
  if (!qwen2) refuse(file, "pre_tokenizer", pre, "Qwen2's Split pattern followed by ByteLevel");
  const json decoder = member(root, "decoder");
  if (!has_type(decoder, "ByteLevel")) refuse(file, "decoder", decoder, "{\"type\":\"ByteLevel\"}");
  const json post = member(root, "post_processor");
  if (!post.is_null() && !has_type(post, "ByteLevel")) refuse(file, "post_processor", post, "ByteLevel or none");
}

void check_model(const fs::path& file, const json& model) {
  if (!model.is_object()) refuse(file, "model", model, "an object");
  const json type = member(model, "type");
  if (!type.is_null() && type != "BPE") refuse(file, "model.type", type, "\"BPE\"");
  const json dropout = member(model, "dropout");
  if (!dropout.is_null() && dropout != 0) refuse(file, "model.dropout", dropout, "none");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const json affix = member(model, key);
    if (!affix.is_null() && affix != "") refuse(file, key, affix, "none");
  }
}

int64_t integer(const fs::path& file, const std::string& what, const json& value) {
  if (!value.is_number_integer())
    fail("text", file.string(), ": ", what, " is ", shown(value), ", expected an integer");
  if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) return INT64_MAX;
  return value.get<int64_t>();
}

void take_vocab(const fs::path& file, const json& vocab, Vocabulary& out) {
  if (!vocab.is_object() || vocab.empty()) fail("text", file.string(), ": no vocabulary, expected an object of tokens");
  for (const auto& [token, id] : vocab.items())
    out.add_token(file, token, integer(file, "the id of \"" + token + "\"", id));
}

/// Adds a merge written as "a b".
void take_merge_text(const fs::path& file, const std::string& location, const std::string& text, Vocabulary& out) {
  const size_t space = text.find(' ');
  if (space == std::string::npos || space != text.rfind(' ')) {
    fail("text", file.string(), ": ", location, " is \"", text, "\", expected two tokens with a space between");
  }
  const std::string_view whole = text;
  out.add_merge(file, location, whole.substr(0, space), whole.substr(space + 1));
}

void take_merges(const fs::path& file, const json& merges, Vocabulary& out) {
  if (!merges.is_array()) fail("text", file.string(), ": model.merges is ", shown(merges), ", expected a list");
  for (size_t i = 0; i < merges.size(); ++i) {
    const json& merge = merges[i];
    const std::string location = "merge " + std::to_string(i);
    if (merge.is_string()) {
      const auto& text = merge.get_ref<const std::string&>();
      if (!text.starts_with("#version")) take_merge_text(file, location, text, out);
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      out.add_merge(file, location, merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>());
    } else {
      fail("text", file.string(), ": ", location, " is ", shown(merge), ", expected \"a b\" or [\"a\", \"b\"]");
    }
  }
}

bool flag(const fs::path& file, const json& entry, const char* key) {
  const json value = member(entry, key);
  if (value.is_null()) return false;
  if (!value.is_boolean()) fail("text", file.string(), ": an added token's ", key, " is ", shown(value));
  return value.get<bool>();
}

AddedToken added_token(const fs::path& file, const json& entry, int64_t id) {
  const json content = member(entry, "content");
  if (!content.is_string()) fail("text", file.string(), ": added token ", shown(entry), " has no content");
  if (id < 0 || id > INT32_MAX) fail("text", file.string(), ": added token ", shown(content), " has id ", id);
  AddedToken token;
  token.id = static_cast<uint32_t>(id);
  token.content = content.get<std::string>();
  token.special = flag(file, entry, "special");
  token.normalized = flag(file, entry, "normalized");
  token.single_word = flag(file, entry, "single_word");
  token.lstrip = flag(file, entry, "lstrip");
  token.rstrip = flag(file, entry, "rstrip");
  return token;
}

int64_t id_of_key(const fs::path& file, const std::string& key) {
  if (key.empty() || key.size() > 9 || key.find_first_not_of("0123456789") != std::string::npos) {
    fail("text", file.string(), ": added_tokens_decoder has the key \"", key, "\", expected a token id");
  }
  return std::stoll(key);
}

/// tokenizer_config.json's added_tokens_decoder; null if the folder has none.
json tokens_decoder(const fs::path& model_dir) {
  const fs::path file = model_dir / "tokenizer_config.json";
  if (!is_there(file)) return nullptr;
  const json decoder = member(read_json_object(file), "added_tokens_decoder");
  if (!decoder.is_null() && !decoder.is_object()) refuse(file, "added_tokens_decoder", decoder, "an object");
  return decoder;
}

/// Tokens that tokenizer_config.json names as special beside its list of added tokens.
std::vector<std::string> named_special(const fs::path& model_dir) {
  const fs::path file = model_dir / "tokenizer_config.json";
  if (!is_there(file)) return {};
  const json root = read_json_object(file);
  std::vector<std::string> names;
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    const json list = member(root, key);
    if (!list.is_structured()) continue;
    for (const json& entry : list) {
      const json name = entry.is_object() ? member(entry, "content") : entry;
      if (!name.is_string()) refuse(file, key, list, "a list of tokens");
      names.push_back(name.get<std::string>());
    }
  }
  return names;
}

/// Whether special_tokens_map.json lists this token.
bool names_special(const json& map, const std::string& content) {
  const auto is_it = [&](const json& value) { return value == content || member(value, "content") == content; };
  for (const auto& [key, value] : map.items()) {
    if (is_it(value)) return true;
    if (!value.is_array()) continue;
    for (const json& entry : value) {
      if (is_it(entry)) return true;
    }
  }
  return false;
}

std::vector<AddedToken> read_added_tokens_json(const fs::path& model_dir) {
  const fs::path file = model_dir / "added_tokens.json";
  if (!is_there(file)) return {};
  const fs::path map_file = model_dir / "special_tokens_map.json";
  const json map = is_there(map_file) ? read_json_object(map_file) : json::object();
  const json ids = read_json_object(file);
  std::vector<AddedToken> tokens;
  for (const auto& [content, id] : ids.items()) {
    const bool special = names_special(map, content);
    const json entry = {{"content", content}, {"special", special}, {"normalized", !special}};
    tokens.push_back(added_token(file, entry, integer(file, "the id of \"" + content + "\"", id)));
  }
  return tokens;
}

}  // namespace

Vocabulary read_tokenizer_json(const fs::path& file) {
  const json root = read_json_object(file);
  const auto model = root.find("model");
  if (model == root.end())
    fail("text", file.string(), ": no \"model\", expected a tokenizer of the tokenizers library");
  check_model(file, *model);
  check_pipeline(file, root);
  Vocabulary out;
  out.ignore_merges = member(*model, "ignore_merges") == true;
  take_vocab(file, model->contains("vocab") ? (*model)["vocab"] : json(), out);
  take_merges(file, model->contains("merges") ? (*model)["merges"] : json(), out);
  const json added = member(root, "added_tokens");
  if (!added.is_null() && !added.is_array()) refuse(file, "added_tokens", added, "a list");
  for (const json& entry : added) {
    out.add_added_token(file, added_token(file, entry, integer(file, "an added token's id", member(entry, "id"))));
  }
  return out;
}

Vocabulary read_vocab_and_merges(const fs::path& model_dir) {
  Vocabulary out;
  take_vocab(model_dir / "vocab.json", read_json_object(model_dir / "vocab.json"), out);
  const fs::path file = model_dir / "merges.txt";
  std::istringstream lines(read_file("text", file));
  std::string line;
  for (int64_t number = 1; std::getline(lines, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty() && !line.starts_with("#version"))
      take_merge_text(file, "line " + std::to_string(number), line, out);
  }
  return out;
}

std::vector<AddedToken> read_config_tokens(const fs::path& model_dir) {
  const json decoder = tokens_decoder(model_dir);
  if (decoder.is_null()) return read_added_tokens_json(model_dir);
  const fs::path file = model_dir / "tokenizer_config.json";
  std::vector<AddedToken> tokens;
  for (const auto& [key, entry] : decoder.items()) tokens.push_back(added_token(file, entry, id_of_key(file, key)));
  return tokens;
}

void add_config_tokens(const fs::path& model_dir, Vocabulary& vocabulary) {
  const bool decides = !tokens_decoder(model_dir).is_null();
  const fs::path file = model_dir / (decides ? "tokenizer_config.json" : "added_tokens.json");
  std::vector<AddedToken> tokens = read_config_tokens(model_dir);
  std::ranges::sort(tokens, {}, &AddedToken::id);
  for (AddedToken& token : tokens) {
    const auto known = std::ranges::find(vocabulary.added(), token.content, &AddedToken::content);
    if (!decides && known != vocabulary.added().end()) continue;
    const size_t next = vocabulary.tokens().size();
    if (!vocabulary.find(token.content) && token.id > next) {
      fail("text", file.string(), ": added token \"", token.content, "\" has id ", token.id, ", expected ", next,
           ", the next after the tokens before it; take the tokenizer files of one model");
    }
    vocabulary.add_added_token(file, std::move(token));
  }
  for (const std::string& name : named_special(model_dir)) {
    const auto id = vocabulary.find(name);
    if (!id) {
      fail("text", (model_dir / "tokenizer_config.json").string(), " names the special token \"", name,
           "\", to which no file gives an id; take the tokenizer files of one model");
    }
    const auto known = std::ranges::find(vocabulary.added(), name, &AddedToken::content);
    AddedToken token;
    if (known != vocabulary.added().end()) token = *known;
    token.id = *id;
    token.content = name;
    token.special = true;
    vocabulary.add_added_token(model_dir / "tokenizer_config.json", std::move(token));
  }
}

}  // namespace lriad
