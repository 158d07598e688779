#include <regex>

#include "readers.h"
#include "record.h"
#include "yes_or_no.h"

namespace lriad {
namespace {

using nlohmann::json;

/// The image asked about: `image`, or the last of `images`, before which reference images stand.
std::string image_of(const Record& record) {
  const json& value = record.value();
  json image = value.contains("image") ? value["image"] : value.value("images", json());
  if (image.is_array() && !image.empty()) image = image.back();
  if (image.is_string() && !image.get_ref<const std::string&>().empty()) return image.get<std::string>();
  record.refuse("no image; needed are image (or images), problem and solution");
}

/// What a turn says under any of the usual keys.
std::string turn_text(const json& turns, std::initializer_list<const char*> roles) {
  std::string text;
  if (!turns.is_array()) return text;
  for (const json& turn : turns) {
    if (!turn.is_object()) continue;
    const json role = turn.value("role", turn.value("from", json()));
    const json said = turn.value("content", turn.value("value", json()));
    for (const char* wanted : roles) {
      if (role == wanted && said.is_string()) text = said.get<std::string>();
    }
  }
  return text;
}

const json& turns_of(const json& value) {
  static const json none;
  for (const char* key : {"messages", "conversations"}) {
    if (value.contains(key)) return value[key];
  }
  return none;
}

std::string answer_of(const Record& record) {
  std::string text = record.text("solution");
  if (text.empty()) text = turn_text(turns_of(record.value()), {"assistant", "gpt"});
  if (text.empty()) record.refuse("no solution; needed are image (or images), problem and solution");
  const size_t begin = text.rfind("<answer>"), end = text.rfind("</answer>");
  if (begin == std::string::npos || end == std::string::npos || end < begin) return text;
  return text.substr(begin + 8, end - begin - 8);
}

/// The text of option `letter` in a question: "A. Yes", "A: Yes", "(A) Yes". The order of options differs between the
/// projects, so a letter says nothing without it.
std::string option_text(const std::string& question, char letter) {
  const std::regex option(concat("(?:^|[^A-Za-z])\\(?", letter, "\\s*[.:)]+\\s*([A-Za-z-]+)"));
  std::smatch match;
  return std::regex_search(question, match, option) ? match[1].str() : "";
}

Verdict label_of(const Record& record) {
  const std::string answer = answer_of(record);
  static const std::regex letter(R"(\s*\(?([A-E])\)?[.:]?\s*)");
  std::smatch match;
  if (!std::regex_match(answer, match, letter)) {
    if (const auto label = yes_or_no(answer)) return *label;
    record.refuse("the answer is ", shown(answer), ", expected Yes, No or the letter of an option");
  }
  std::string question = record.text("problem");
  if (question.empty()) question = turn_text(turns_of(record.value()), {"user", "human"});
  if (const auto label = yes_or_no(option_text(question, match[1].str()[0]))) return *label;
  record.refuse("the answer is ", shown(answer), ", but the question has no such option that says Yes or No");
}

}  // namespace

Listing read_iad_r1(const DataSection& section) {
  check_split(section, {"all"});
  const std::filesystem::path file = real_file(section.root);
  Listing found;
  std::set<std::string> known;
  for (const Record& record : read_records(file)) {
    const std::string image = image_of(record);
    if (found.root.empty()) found.root = base_of_images(file, image);
    Sample sample;
    sample.image = record.path(image, found.root, section.follow_links);
    sample.object = record.text("object");
    if (sample.object.empty()) sample.object = object_of_path(sample.image);
    if (sample.object.empty()) record.refuse("neither a key object nor the path of the image names the object");
    sample.label = label_of(record);
    known.insert(sample.object);
    found.samples.push_back(std::move(sample));
  }
  keep_wanted(section, known, found.samples);
  return found;
}

}  // namespace lriad
