#include "lriad/eval/mmad_answers.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/json.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"

namespace lriad {
namespace {

using Json = nlohmann::ordered_json;

/// "" for an answer that chooses no option.
std::string chosen_letter(const Prediction& p, const MmadQuestion& question) {
  if (p.unreadable() || p.verdict == Verdict::kInvalid) return "";
  return p.verdict == Verdict::kDefect ? question.yes : question.no;
}

struct Answer {
  std::string image, chosen;
  const MmadQuestion* question;
};

std::vector<Answer> answers_of(const std::vector<Prediction>& predictions,
                               const std::map<std::string, MmadQuestion>& questions) {
  std::vector<Answer> answers;
  for (const Prediction& p : predictions) {
    const auto question = questions.find(p.image);
    if (question == questions.end()) fail("eval", p.image, " is not in mmad.json");
    answers.push_back({p.image, chosen_letter(p, question->second), &question->second});
  }
  std::ranges::stable_partition(answers, [](const Answer& answer) { return !answer.chosen.empty(); });
  return answers;
}

/// Valid answers of a data set, [1] of normal images, [0] of defects.
struct Counts {
  std::array<int64_t, 2> total = {0, 0}, right = {0, 0};
  int64_t invalid = 0;
  double accuracy(size_t normal) const {
    return total[normal] == 0 ? 0 : static_cast<double>(right[normal]) / static_cast<double>(total[normal]);
  }
};

/// By data set, the first folder of the image's path, in the order of their first answers.
std::vector<std::pair<std::string, Counts>> count_sets(const std::vector<Answer>& answers) {
  std::vector<std::pair<std::string, Counts>> sets;
  for (const Answer& answer : answers) {
    const std::string name = answer.image.substr(0, answer.image.find('/'));
    auto set = std::ranges::find(sets, name, &std::pair<std::string, Counts>::first);
    if (set == sets.end()) set = sets.insert(set, {name, {}});
    if (answer.chosen.empty()) {
      ++set->second.invalid;
      continue;
    }
    const size_t normal = answer.image.find("good") != std::string::npos ? 1 : 0;
    ++set->second.total[normal];
    set->second.right[normal] += answer.chosen == answer.question->correct ? 1 : 0;
  }
  return sets;
}

std::string row(const std::string& name, const std::array<double, 3>& values, int64_t invalid) {
  const auto number = [](double value) { return Json(value).dump(); };
  return concat(name, ',', number(values[0]), ',', number(values[0]), ',', number(values[1]), ',', number(values[2]),
                ',', invalid, '\n');
}

std::string accuracy_table(const std::vector<Answer>& answers) {
  std::string table = ",Anomaly Detection,Average,Overkill,Miss,Invalid answers\n";
  const auto sets = count_sets(answers);
  std::array<double, 3> mean = {0, 0, 0};
  int64_t invalid = 0;
  for (const auto& [name, counts] : sets) {
    const double normal = counts.accuracy(1), defect = counts.accuracy(0);
    const std::array<double, 3> values = {(normal + defect) / 2 * 100, (1 - normal) * 100, (1 - defect) * 100};
    table += row(name, values, counts.invalid);
    for (size_t k = 0; k < values.size(); ++k) mean[k] += values[k] / static_cast<double>(sets.size());
    invalid += counts.invalid;
  }
  return table + row("Average", mean, invalid);
}

}  // namespace

void write_mmad_answers(const std::filesystem::path& path, const std::vector<Prediction>& predictions,
                        const std::map<std::string, MmadQuestion>& questions) {
  const std::vector<Answer> answers = answers_of(predictions, questions);
  Json list = Json::array();
  for (const Answer& answer : answers) {
    list.push_back({{"image", answer.image},
                    {"question", {{"type", "text"}, {"text", answer.question->text}}},
                    {"question_type", "Anomaly Detection"},
                    {"correct_answer", answer.question->correct},
                    {"gpt_answer", answer.chosen}});
  }
  write_file_atomic("eval", path, list.dump(4, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n");
  write_file_atomic("eval", path.parent_path() / (path.stem().string() + "_accuracy.csv"), accuracy_table(answers));
}

}  // namespace lriad
