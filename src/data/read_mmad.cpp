#include "core/json.h"
#include "lriad/core/files.h"
#include "lriad/core/log.h"
#include "lriad/data/mmad.h"
#include "readers.h"
#include "record.h"
#include "yes_or_no.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// The item that asks whether there is a defect; null if the image has none.
const json* detection_item(const Record& record) {
  const auto conversation = record.value().find("conversation");
  if (conversation == record.value().end() || !conversation->is_array()) record.refuse("has no list conversation");
  for (const json& item : *conversation) {
    if (item.is_object() && item.value("type", json()) == "Anomaly Detection") return &item;
  }
  return nullptr;
}

/// The order of the options differs from item to item, so the text of the chosen one counts, not its letter.
Verdict label_of(const Record& record, const json& item) {
  const json options = item.value("Options", json::object()), answer = item.value("Answer", json());
  if (options.is_object() && answer.is_string() && options.contains(answer.get<std::string>())) {
    const json& chosen = options.at(answer.get<std::string>());
    const auto label = chosen.is_string() ? yes_or_no(chosen.get<std::string>()) : std::nullopt;
    if (label) return *label;
  }
  record.refuse("Answer is ", shown(answer), " of the Options ", shown(options), ", expected one that says Yes or No");
}

fs::path mmad_file(const DataSection& section) {
  std::error_code error;
  const bool is_folder = fs::is_directory(section.root, error);
  return real_file(is_folder ? (fs::path(section.root) / "mmad.json").string() : section.root);
}

constexpr uint64_t kMaxFile = 1ull << 28;

/// As MMAD's programs write a question.
MmadQuestion question_of(const json& item) {
  MmadQuestion question;
  question.text = concat("Question 1: ", item.value("Question", ""), " \n");
  question.correct = item.value("Answer", "");
  const json options = item.value("Options", json::object());
  for (const auto& [letter, option] : options.items()) {
    const std::string text = option.is_string() ? option.get<std::string>() : "";
    question.text += concat(letter, ". ", text, "\n");
    const std::optional<Verdict> says = yes_or_no(text);
    if (says == Verdict::kDefect && question.yes.empty()) question.yes = letter;
    if (says == Verdict::kNormal && question.no.empty()) question.no = letter;
  }
  return question;
}

}  // namespace

std::map<std::string, MmadQuestion> mmad_questions(const DataSection& section) {
  const fs::path file = mmad_file(section);
  const json images = read_json_object("data", file, kMaxFile);
  fs::path root;
  std::map<std::string, MmadQuestion> questions;
  for (const auto& [image, value] : images.items()) {
    const Record record(file, image, value);
    const json* item = detection_item(record);
    if (item == nullptr) continue;
    if (root.empty()) root = base_of_images(file, image);
    questions.emplace(record.path(image, root, section.follow_links), question_of(*item));
  }
  return questions;
}

Listing read_mmad(const DataSection& section) {
  check_split(section, {"all"});
  const fs::path file = mmad_file(section);
  const json images = read_json_object("data", file, kMaxFile);
  Listing found;
  std::set<std::string> known;
  int64_t without_item = 0, contradicted = 0;
  std::string first_contradicted;
  for (const auto& [image, value] : images.items()) {
    const Record record(file, image, value);
    const json* item = detection_item(record);
    if (item == nullptr) {
      ++without_item;
      continue;
    }
    if (found.root.empty()) found.root = base_of_images(file, image);
    Sample sample;
    sample.image = record.path(image, found.root, section.follow_links);
    sample.object = object_of_path(sample.image);
    if (sample.object.empty()) record.refuse("the path names no object, expected <set>/<object>/.../<type>/<image>");
    sample.label = label_of(record, *item);
    const std::string type = fs::path(image).parent_path().filename().string();
    if (is_normal_name(type) != (sample.label == Verdict::kNormal)) {
      if (contradicted++ == 0) first_contradicted = image;
    }
    if (sample.label == Verdict::kDefect) sample.defect_type = type;
    known.insert(sample.object);
    found.samples.push_back(std::move(sample));
  }
  if (without_item > 0)
    log_warning(concat("[data] ", without_item, " images of ", file.string(), " have no item of type ",
                       "Anomaly Detection and are left out"));
  if (contradicted > 0)
    log_warning(concat("[data] ", contradicted, " answers of ", file.string(),
                       " contradict the folder of their image, the first ", first_contradicted));
  keep_wanted(section, known, found.samples);
  return found;
}

}  // namespace lriad
