// The completions of the reward audit.
#include "lriad/core/error.h"
#include "lriad/grpo/reward_audit.h"

namespace lriad {
namespace {

/// The right and wrong letter for an image, and texts that resemble the right one.
struct Letters {
  std::string right, wrong, lower, fullwidth, cyrillic, greek, word;
};

Letters letters_of(bool is_defect) {
  if (is_defect) return {"A", "B", "a", "\uFF21", "\u0410", "\u0391", "defect"};
  return {"B", "A", "b", "\uFF22", "\u0412", "\u0392", "normal"};
}

const std::string kThought = "The edge of the part shows what is asked for.";

std::string answered(const std::string& answer) {
  return concat("<think>", kThought, "</think><answer>", answer, "</answer>");
}

/// Collects cases.
class Cases {
 public:
  void add(const std::string& name, const std::string& text, AuditKind kind = AuditKind::kIllFormed) {
    // An answer token is a letter directly after the opening tag, as answer_position() finds it.
    const bool token = text.find("<answer>A") != std::string::npos || text.find("<answer>B") != std::string::npos;
    list.push_back({name, text, kind, token});
  }
  std::vector<AuditCase> list;
};

void add_well_formed(const Letters& l, Cases& cases) {
  cases.add("right", answered(l.right), AuditKind::kRight);
  cases.add("wrong", answered(l.wrong), AuditKind::kWrong);
  cases.add("right, with the end token", answered(l.right) + "<|im_end|>", AuditKind::kRight);
  cases.add("right, letter in brackets", answered("(" + l.right + ")"), AuditKind::kRight);
  cases.add("wrong, letter in brackets", answered("(" + l.wrong + ")"), AuditKind::kWrong);
  cases.add("right, white space around all",
            concat("\n <think>\n", kThought, "\n</think>\n\n<answer>\n\t", l.right, " </answer> \n"),
            AuditKind::kRight);
  cases.add("right, no-break and wide spaces",
            concat("<think>", kThought, "</think>\u00A0<answer>\u3000", l.right, "\u2003</answer>"), AuditKind::kRight);
  cases.add("right, empty thought", concat("<think></think><answer>", l.right, "</answer>"), AuditKind::kRight);
  cases.add("right, 100,000 characters of thought",
            concat("<think>", std::string(100'000, 'x'), "</think><answer>", l.right, "</answer>"), AuditKind::kRight);
}

void add_letters(const Letters& l, Cases& cases) {
  cases.add("empty answer", answered(""));
  cases.add("white space as answer", answered(" \n "));
  cases.add("both letters", answered("A B"));
  cases.add("both letters, joined", answered("AB"));
  cases.add("both options, as the prompt has them", answered("A or B"));
  cases.add("lower case letter", answered(l.lower));
  cases.add("letter with full stop", answered(l.right + "."));
  cases.add("letter with one bracket", answered(l.right + ")"));
  cases.add("letter in square brackets", answered("[" + l.right + "]"));
  cases.add("letter twice", answered(l.right + l.right));
  cases.add("letter and word", answered(concat("(", l.right, ") ", l.word)));
  cases.add("word only", answered(l.word));
  cases.add("prose with the article", answered("A scratch on a gear, B side"));
  cases.add("fullwidth letter", answered(l.fullwidth));
  cases.add("Cyrillic letter", answered(l.cyrillic));
  cases.add("Greek letter", answered(l.greek));
  cases.add("letter and zero-width space", answered(l.right + "\u200B"));
  cases.add("letter and NUL", answered(l.right + std::string(1, '\0')));
}

void add_tags(const Letters& l, Cases& cases) {
  const std::string thought = concat("<think>", kThought, "</think>");
  const std::string answer = concat("<answer>", l.right, "</answer>");
  cases.add("only the answer", answer);
  cases.add("only the thought", thought);
  cases.add("answer before the thought", answer + thought);
  cases.add("answer twice, the same", thought + answer + answer);
  cases.add("answer twice, both letters", concat(thought, answer, "<answer>", l.wrong, "</answer>"));
  cases.add("thought twice", thought + thought + answer);
  cases.add("all twice", thought + answer + thought + answer);
  cases.add("thought in a thought", concat("<think>", thought, "</think>", answer));
  cases.add("answer in an answer", concat(thought, "<answer>", answer, "</answer>"));
  cases.add("answer in the thought", concat("<think>", answer, "</think>", answer));
  cases.add("other letter's answer in the thought", concat("<think><answer>", l.wrong, "</answer></think>", answer));
  cases.add("opened tag in the thought", concat("<think><answer></think>", answer));
  cases.add("all within the thought", concat("<think>", kThought, answer, "</think>"));
  cases.add("thought not opened", concat(kThought, "</think>", answer));
  cases.add("thought not closed", concat("<think>", kThought, answer));
  cases.add("answer not closed", concat(thought, "<answer>", l.right));
  cases.add("answer closed as opened", concat(thought, "<answer>", l.right, "<answer>"));
  cases.add("tags in upper case", concat("<THINK>", kThought, "</THINK><ANSWER>", l.right, "</ANSWER>"));
  cases.add("tags with a space", concat(thought, "<answer >", l.right, "</answer >"));
  cases.add("fullwidth tags", concat(thought, "\uFF1Canswer\uFF1E", l.right, "\uFF1C/answer\uFF1E"));
}

void add_texts(const Letters& l, Cases& cases) {
  cases.add("nothing", "");
  cases.add("white space", " \n\t ");
  cases.add("the letter alone", l.right);
  cases.add("prose without tags", concat("This is a ", l.word, " part. The answer is (", l.right, ")."));
  cases.add("the prompt's example", "<think> ... </think> <answer>A or B</answer>");
  cases.add("the prompt, then a right answer", concat(kPaperPrompt, "\n", answered(l.right)));
  cases.add("text before", "Sure! " + answered(l.right));
  cases.add("text between", concat("<think>", kThought, "</think> So: <answer>", l.right, "</answer>"));
  cases.add("text after", answered(l.right) + " Both A and B are possible.");
  cases.add("zero-width space after the thought",
            concat("<think>", kThought, "</think>\u200B<answer>", l.right, "</answer>"));
  cases.add("in a code block", concat("```\n", answered(l.right), "\n```"));
  cases.add("two end tokens", answered(l.right) + "<|im_end|><|im_end|>");
  cases.add("end token inside", concat("<think>", kThought, "</think><|im_end|><answer>", l.right, "</answer>"));
  cases.add("cut off in a very long thought", "<think>" + std::string(100'000, 'x'));
  cases.add("cut off within the last tag", concat("<think>", kThought, "</think><answer>", l.right, "</answer"));
}

}  // namespace

std::vector<AuditCase> audit_cases(bool is_defect) {
  const Letters letters = letters_of(is_defect);
  Cases cases;
  add_well_formed(letters, cases);
  add_texts(letters, cases);
  add_letters(letters, cases);
  add_tags(letters, cases);
  return std::move(cases.list);
}

}  // namespace lriad
