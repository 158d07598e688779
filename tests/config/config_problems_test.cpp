#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "config_text.h"
#include "lriad/core/files.h"

namespace lriad {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

int64_t num_lines(const std::string& text) {
  return text.empty() ? 0 : 1 + static_cast<int64_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST(ConfigProblems, NamesTheNearestKey) {
  const ConfigFiles files;
  EXPECT_EQ(files.problems(kNeeded + "grpo:\n  epsilonn: 0.1\n"),
            "[config] a.yaml:5: grpo.epsilonn is not a known key; did you mean grpo.epsilon?");
  EXPECT_EQ(files.problems(kNeeded + "tarin: {}\n"),
            "[config] a.yaml:4: tarin is not a known key; did you mean train?");
  EXPECT_EQ(files.problems(kNeeded + "learning_rate: 1\n"),
            "[config] a.yaml:4: learning_rate is not a known key; did you mean optim.learning_rate?");
  EXPECT_EQ(files.problems(kNeeded + "zzzzzz: 1\n"), "[config] a.yaml:4: zzzzzz is not a known key");
  EXPECT_EQ(files.problems(kNeeded, {"trian.max_steps=3"}),
            "[config] --set trian.max_steps=3: trian.max_steps is not a known key; did you mean train.max_steps?");
}

TEST(ConfigProblems, RefusesWrongTypes) {
  const ConfigFiles files;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"train: {max_steps: many}", "train.max_steps is many, expected an integer from -1 to 1000000000"},
      {"train: {max_steps: \"4\"}",
       "train.max_steps is \"4\", expected an integer from -1 to 1000000000, without quotes"},
      {"rollout: {num_generations: 4.0}", "rollout.num_generations is 4.0, expected an integer from 2 to 1024"},
      {"rollout: {top_k: [1]}", "rollout.top_k is a list, expected an integer"},
      {"rollout: {top_p: high}", "rollout.top_p is high, expected a number above 0 to 1"},
      {"log: {completions: 1}", "log.completions is 1, expected true or false"},
      {"log: {completions: \"true\"}", "log.completions is \"true\", expected true or false"},
      {"optim: [1, 2]", "optim is a list, expected a map of keys"},
      {"optim: 3", "optim is 3, expected a map of keys"},
      {"preset: {a: 1}", "preset is a map, expected a text"},
      {"preset: best", "preset is best, expected lriad_paper, lriad, visual_rft, trl_grpo"},
      {"lora: {target_modules: {q_proj: 4}}",
       "lora.target_modules is a map, expected a list of texts that is not empty, "
       "or a regular expression"},
      {"lora: {target_modules: \"\"}", "lora.target_modules is \"\", expected a list of texts"},
      {"lora: {exclude_modules: [q_proj, \"\"]}", "lora.exclude_modules has the item \"\", expected a text"},
      {"lora: {target_modules: []}", "lora.target_modules is a list, expected a list of texts that is not empty"},
      {"lora: {target_modules: [a, a]}", "lora.target_modules has a twice"},
      {"sft: {responses: {defective: [a]}}", "sft.responses has the key defective, expected defect and normal"},
      {"sft: {responses: {defect: a}}", "sft.responses.defect is a, expected a list of texts"},
      {"[a]: 1", "a key is a list, expected a name"}};
  for (const auto& [text, problem] : cases) {
    const std::string found = files.problems(kNeeded + text + "\n");
    EXPECT_THAT(found, HasSubstr("[config] a.yaml:4: " + problem));
    EXPECT_EQ(num_lines(found), 1) << found;
  }
}

TEST(ConfigProblems, RefusesValuesOutOfRange) {
  const ConfigFiles files;
  for (const char* text : {"rollout: {num_generations: 1}",
                           "rollout: {temperature: 0}",
                           "rollout: {temperature: -1.0}",
                           "rollout: {top_p: 1.5}",
                           "optim: {learning_rate: -1e-6}",
                           "optim: {learning_rate: .nan}",
                           "optim: {learning_rate: .inf}",
                           "optim: {learning_rate: nan}",
                           "optim: {learning_rate: 1e400}",
                           "optim: {adam_beta1: 1}",
                           "lora: {lora_dropout: 1.5}",
                           "lora: {r: 0}",
                           "train: {max_steps: 1000000000000000000000000000000}",
                           "train: {save_total_limit: 0}",
                           "seed: -1",
                           "seed: 18446744073709551616",
                           "distributed: {devices: \"0,x\"}",
                           "distributed: {devices: 0}",
                           "distributed: {devices: \"1,1\"}",
                           "distributed: {devices: []}",
                           "image: {max_pixels: 5}",
                           "eval: {batch_size: -1}",
                           "train: {metric_for_best_model: acuracy}",
                           "guard: {zscore: 0}",
                           "output_dir: \"\""}) {
    const std::string found =
        files.problems("model: {path: m}\n" + std::string(text) + "\ndata: {root: d}\n", {"output_dir=o"});
    EXPECT_THAT(found, ContainsRegex("^\\[config\\] a.yaml:2: [a-z0-9_.]+ is .*, expected ")) << text;
    EXPECT_EQ(num_lines(found), 1) << found;
  }
}

TEST(ConfigProblems, SaysWhichChoicesThereAre) {
  const ConfigFiles files;
  EXPECT_EQ(files.problems(kNeeded + "grpo: {loss_type: gprpo}\n"),
            "[config] a.yaml:4: grpo.loss_type is gprpo, expected grpo, bnpo, dr_grpo or dapo; did you mean grpo?");
  const std::string formats = files.problems(kNeeded, {"data.format=mvtek"});
  EXPECT_THAT(formats, HasSubstr("--set data.format=mvtek: data.format is mvtek, expected mvtec, loco, "));
  EXPECT_THAT(formats, HasSubstr("; did you mean mvtec?"));
}

TEST(ConfigProblems, ListsAllAtOnce) {
  const ConfigFiles files;
  EXPECT_EQ(
      files.problems("rollout:\n  temprature: 1\n  num_generations: x\nmodel: {path: m}\n", {"data.root=d", "seed=a"}),
      "[config] a.yaml:2: rollout.temprature is not a known key; did you mean rollout.temperature?\n"
      "[config] a.yaml:3: rollout.num_generations is x, expected an integer from 2 to 1024\n"
      "[config] --set seed=a: seed is a, expected an integer from 0 to 18446744073709551615\n"
      "[config] output_dir is not set; give the folder of the run, or --output");
  std::string many = kNeeded;
  for (int i = 0; i < 200; ++i) many += "unknown_" + std::to_string(i) + ": 1\n";
  EXPECT_THAT(files.problems(many), HasSubstr("\n[config] and 150 problems more"));
}

TEST(ConfigProblems, RefusesKeysThatStandTwice) {
  const ConfigFiles files;
  EXPECT_EQ(files.problems(kNeeded + "grpo:\n  beta: 1\n  beta: 2\n"),
            "[config] a.yaml:6: grpo.beta stands here a second time, first on line 5");
  EXPECT_EQ(files.problems(kNeeded + "grpo: {}\ngrpo: {}\n"),
            "[config] a.yaml:5: grpo stands here a second time, first on line 4");
}

TEST(ConfigProblems, RefusesKeysThatDoNotGoTogether) {
  const ConfigFiles files;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"trainable: all", "trainable is all, which goes with stage sft only"},
      {"{stage: sft}", "sft.responses has no texts for defect"},
      {"image: {min_pixels: 9000, max_pixels: 4000}",
       "image.min_pixels is 9000, expected at most image.max_pixels, 4000"},
      {"train: {eval_steps: 5}", "train.eval_steps needs eval_data"},
      {"eval_data: {}", "eval_data.root is not set"},
      {"grpo: {epsilon: null, epsilon_high: 0.3}", "grpo.epsilon is null (no clipping)"},
      {"reward: {focal: {where: advantage}}", "reward.focal.p must be group_mean or group_rate"},
      {"reward: {focal: {where: advantage, p: group_rate, wrong: penalty}}",
       "reward.focal.wrong: penalty has no meaning"},
      {"reward: {format_weight: 0, answer_weight: 0}", "both 0"}};
  for (const auto& [text, problem] : cases) {
    const bool flow = text[0] == '{';
    const std::string found = files.problems(kNeeded + (flow ? text.substr(1, text.size() - 2) : text) + "\n");
    EXPECT_THAT(found, HasSubstr(problem));
    EXPECT_THAT(found, HasSubstr("[config] "));
  }
  EXPECT_EQ(
      files.problems("output_dir: o\nmodel: {path: m}\ndata: {root: d, format: jsonl}\nstage: sft\ntrainable: all\n"),
      "");
}

TEST(ConfigProblems, RefusesTextThatIsNoConfig) {
  const ConfigFiles files;
  EXPECT_THAT(files.problems("stage: [grpo\nseed: }\n"), HasSubstr("[config] a.yaml:2: not valid YAML: "));
  EXPECT_THAT(files.problems("- 1\n- 2\n"), HasSubstr("[config] a.yaml:1: is a list, expected a map of keys"));
  EXPECT_THAT(files.problems("model:\n\tpath: x\n"),
              HasSubstr("a.yaml:2: not valid YAML: illegal map value; the line is "
                        "indented with a tab, use spaces"));
  EXPECT_THAT(files.problems("stage: grpo\noutput_dir: \xff\xfe\n"), HasSubstr("a.yaml:2: not UTF-8"));
  EXPECT_THAT(files.problems(std::string("stage: grpo\0", 12)), HasSubstr("a.yaml holds NUL bytes"));
  EXPECT_THAT(files.problems("output_dir: \"a\\0b\"\n"), HasSubstr("the text holds a NUL character"));
  EXPECT_THAT(files.problems("seed: 1\n---\nseed: 2\n"), HasSubstr("more than one document"));
  EXPECT_THAT(files.problems("seed: !!int 1\n"), HasSubstr("the tag tag:yaml.org,2002:int is not supported"));
  EXPECT_THAT(files.problems("data: &d {objects: *d}\n"), HasSubstr("an alias stands inside its own anchor"));
  const std::string deep = "seed: " + std::string(20000, '[') + std::string(20000, ']');
  EXPECT_EQ(files.problems(deep), "[config] a.yaml:1: nested deeper than 16, which no key needs");
  EXPECT_THAT(files.problems(std::string((1 << 20) + 1, '#')), HasSubstr("bytes, more than the 1048576 that are read"));
  EXPECT_EQ(num_lines(files.problems("")), 3);
}

TEST(ConfigProblems, EndsAliasesThatMultiply) {
  std::string text = "data: {objects: &a0 [x, x, x, x, x, x, x, x, x, x]}\n";
  for (int i = 1; i < 30; ++i) {
    const std::string alias = "*a" + std::to_string(i - 1);
    text += "b" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + alias;
    for (int k = 0; k < 9; ++k) text += ", " + alias;
    text += "]\n";
  }
  const ConfigFiles files;
  EXPECT_THAT(files.problems(text), HasSubstr("b29 is not a known key"));
}

TEST(ConfigProblems, NamesFilesThatCannotBeRead) {
  const ConfigFiles files;
  ConfigInput input;
  input.files = {files.folder() + "none.yaml"};
  EXPECT_EQ(files.problems(input), "[config] cannot read none.yaml: No such file or directory");
  input.files = {std::filesystem::path(files.folder()).parent_path()};
  EXPECT_THAT(files.problems(input), HasSubstr("is not a regular file"));
}

TEST(ConfigProblems, NamesSetsAndOptions) {
  const ConfigFiles files;
  EXPECT_EQ(files.problems(kNeeded, {"train.max_steps"}),
            "[config] --set train.max_steps: expected key.sub=value, such as grpo.beta=0.04");
  EXPECT_EQ(files.problems(kNeeded, {"train.max_steps=lots"}),
            "[config] --set train.max_steps=lots: train.max_steps is lots, expected an integer from -1 to 1000000000");
  EXPECT_THAT(files.problems(kNeeded, {"seed=[1"}), HasSubstr("[config] --set seed=[1:1: not valid YAML"));
  EXPECT_EQ(num_lines(files.problems(kNeeded, {"output_dir=\"a\nb: [\x01"})), 1);
  ConfigInput input;
  input.options = {{"--devices", "distributed.devices=\"0,x\""}};
  EXPECT_THAT(files.problems(input),
              HasSubstr("[config] --devices: distributed.devices is \"0,x\", expected auto, cpu"));
}

/// One change that a careless editor might make.
std::string mutate(std::string text, std::mt19937_64& random) {
  const auto at = [&](std::size_t size) { return static_cast<std::size_t>(random() % std::max<std::size_t>(size, 1)); };
  static const std::vector<std::string> pieces = {"[",    "]",     "{",    "}", ": ", "\n", "- ", "\t",    "&a ",
                                                  "*a",   "!x ",   "#",    "'", "\"", "|",  ">",  "---\n", "? ",
                                                  "null", "1e999", "\xff", ",", "%",  "@",  "  "};
  switch (random() % 4) {
    case 0:
      return text.erase(at(text.size()), at(12));
    case 1:
      return text.insert(at(text.size()), pieces[at(pieces.size())]);
    case 2: {
      const std::size_t from = at(text.size());
      return text.insert(at(text.size()), text.substr(from, at(60)));
    }
    default:
      text[at(text.size())] = static_cast<char>(random() % 256);
      return text;
  }
}

TEST(ConfigProblems, NeverThrowsAnythingButErrorForSpoiledFiles) {
  const std::string good =
      print_config(load_sets({"preset=lriad", "eval_data.root=x", "output_dir=o", "model.path=m", "data.root=d"}));
  const ConfigFiles files;
  std::mt19937_64 random(7);
  int64_t refused = 0;
  for (int round = 0; round < 1000; ++round) {
    std::string text = good;
    for (uint64_t changes = 1 + random() % 4; changes > 0; --changes) text = mutate(text, random);
    std::string found;
    ASSERT_NO_THROW(found = files.problems(text)) << text;
    if (found.empty()) continue;
    ++refused;
    EXPECT_TRUE(found.starts_with("[config] ")) << found;
    EXPECT_TRUE(is_utf8(found)) << found;
    for (std::size_t line = 0; (line = found.find('\n', line)) != std::string::npos; ++line) {
      EXPECT_EQ(found.compare(line + 1, 9, "[config] "), 0) << found;
    }
  }
  EXPECT_GT(refused, 250);
}

TEST(ConfigProblems, RefusesATemplateThatDoesNotGoWithTheReferenceImages) {
  const ConfigFiles files;
  const auto problem = [&](const std::string& text, int normal) {
    return files.problems(kNeeded, {"prompt.template=\"" + text + "\"", concat("data.reference.normal=", normal)});
  };
  EXPECT_EQ(problem("Good: {reference} {object}?", 1), "");
  EXPECT_EQ(problem("Good: {reference} This: {image} {object}?", 3), "");
  EXPECT_EQ(problem("See {image}: {object}?", 0), "");
  EXPECT_THAT(problem("{object}?", 1), HasSubstr("prompt.template has no {reference}"));
  EXPECT_THAT(problem("{object}?", 1), HasSubstr("write for example \"Normal {object}: {reference}"));
  EXPECT_THAT(problem("{reference} {object}?", 0), HasSubstr("data.reference.normal is 0"));
  EXPECT_THAT(problem("{reference} {reference}?", 1), HasSubstr("{reference} more than once"));
  EXPECT_THAT(problem("{image} {image}?", 0), HasSubstr("{image} more than once"));
  EXPECT_THAT(problem("{image} {reference}?", 1), HasSubstr("{image} before {reference}"));
  EXPECT_THAT(files.problems(kNeeded + "eval_data: {root: x, reference: {normal: 1}}\n"),
              HasSubstr("eval_data.reference.normal is not a known key"));
  EXPECT_THAT(files.problems(kNeeded, {"data.reference.normal=-1"}), HasSubstr("expected an integer from 0 to 64"));
}

}  // namespace
}  // namespace lriad
