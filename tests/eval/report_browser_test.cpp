// The page of a report in a real browser: what it shows, and what mouse and keyboard do to it.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <fstream>
#include <iostream>
#include <set>

#include "lriad/eval/report.h"
#include "lriad/vision/write_png.h"
#include "support/browser.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

const std::string kHostile = "<script>document.title = 'taken'</script><img src=x onerror=alert(1)> fine";

class ReportPage : public ::testing::Test {
 protected:
  void SetUp() override {
    program_ = find_chromium();
    if (program_.empty()) GTEST_SKIP() << "no Chromium is here: install chromium-headless-shell or set LRIAD_CHROMIUM";
  }

  /// Number i of `count` made up predictions: a third are defects of three types, the score is right two times of
  /// three.
  static Prediction made_up(int64_t i, bool labelled) {
    Prediction p;
    p.sample_id = p.image = concat("part/", i, ".png");
    p.object = i % 2 == 0 ? "gear" : "nut <b>";
    const bool defect = i % 3 == 0;
    if (labelled) p.label = defect ? Verdict::kDefect : Verdict::kNormal;
    if (defect) p.defect_type = std::array{"scratch", "pit", "stain"}[static_cast<size_t>(i / 3 % 3)];
    p.score = (static_cast<double>(i * 37 % 100) + (defect ? 50 : 0)) / 150;
    p.verdict = *p.score >= 0.5 ? Verdict::kDefect : Verdict::kNormal;
    p.text = concat("<think> seen number ", i, " </think> <answer>A</answer>");
    if (i == 5) p.text = kHostile;
    if (i == 5) p.verdict = Verdict::kInvalid;
    if (i == 7) p.error = "cut off";
    return p;
  }

  ReportInput input(int64_t count, bool labelled = true) const {
    ReportInput input;
    input.title = "model & " + kHostile;
    input.about = {{"Data", "parts, split test"}, {"Prompt", "Is there a defect in the {object}?\n" + kHostile}};
    for (int64_t i = 0; i < count; ++i) input.predictions.push_back(made_up(i, labelled));
    input.metrics = compute_metrics(input.predictions, InvalidPolicy::kWrong, /*skipped=*/labelled ? 3 : 0);
    input.settings.set("model", kHostile);
    return input;
  }

  /// Gives each of the first images a thumbnail, and every second one a map.
  void add_thumbnails(ReportInput& input) const {
    fs::create_directories(folder_.path() / "data");
    for (size_t i = 0; i < input.predictions.size(); ++i) {
      const std::string& id = input.predictions[i].sample_id;
      const fs::path path = folder_.path() / "data" / concat(i, ".png");
      write_png(path, {64, 64, std::vector<uint8_t>(64 * 64 * 3, static_cast<uint8_t>(40 + i))});
      input.images[id] = path;
      if (i % 2 == 0) input.maps[id] = path;
    }
  }

  fs::path write(const ReportInput& input) const {
    write_report(folder_.path() / "report", input);
    return folder_.path() / "report" / "index.html";
  }

  static void expect_quiet(const Browser& browser, const fs::path& page) {
    EXPECT_TRUE(browser.complaints().empty()) << browser.complaints().front();
    const std::string inside = "file://" + page.parent_path().string() + "/";
    for (const std::string& address : browser.requests()) {
      EXPECT_TRUE(address.starts_with(inside) || address.starts_with("data:")) << address;
    }
  }

  std::string program_;
  const TempFolder folder_;
};

std::string text_of(Browser& browser, const std::string& selector) {
  return browser.value("document.querySelector(" + nlohmann::json(selector).dump() + ").textContent");
}

int64_t count_of(Browser& browser, const std::string& selector) {
  return browser.value("document.querySelectorAll(" + nlohmann::json(selector).dump() + ").length");
}

TEST_F(ReportPage, ShowsEveryPredictionByPagesAndAsksForNothingOutside) {
  ReportInput report = input(60);
  add_thumbnails(report);
  report.run_log = folder_.path() / "metrics.jsonl";
  std::ofstream(report.run_log) << R"({"step": 1, "reward": 0.5, "eval_auroc": null}
{"step": 2, "reward": 0.75, "eval_auroc": 0.8}
{"step": 3, "rew)";
  const fs::path page = write(report);
  for (const bool dark : {false, true}) {
    Browser browser(program_, {.dark = dark});
    browser.open(page);
    std::set<std::string> files;
    for (int turn = 0; turn < 3; ++turn) {
      for (const auto& name :
           browser.value("[...document.querySelectorAll('.card .file')].map(file => file.textContent)"))
        files.insert(name.get<std::string>());
      browser.press("ArrowRight");
    }
    EXPECT_EQ(files.size(), 60u);
    EXPECT_EQ(text_of(browser, "h1"), report.title);
    EXPECT_NE(text_of(browser, "details.about").find(kHostile), std::string::npos);
    EXPECT_NE(text_of(browser, ".note").find("4 of 63 labelled images: 3 skipped, 1 unreadable"), std::string::npos);
    EXPECT_EQ(count_of(browser, "#training .figure"), 2);
    EXPECT_NE(text_of(browser, "#training .figure").find("0.75 at step 2"), std::string::npos);
    EXPECT_EQ(browser.value("[...document.images].filter(image => !image.complete || !image.naturalWidth).length"), 0);
    expect_quiet(browser, page);
  }
}

TEST_F(ReportPage, KeepsScriptAsText) {
  const fs::path page = write(input(60));
  Browser browser(program_, {});
  browser.open(page);
  browser.click("[data-kind=invalid]");
  EXPECT_EQ(text_of(browser, ".card .words"), kHostile);
  browser.click(".card");
  EXPECT_EQ(text_of(browser, "dialog blockquote"), kHostile);
  EXPECT_EQ(count_of(browser, "main script, main img, dialog script, dialog img"), 0);
  EXPECT_NE(browser.value("document.title"), "taken");
  expect_quiet(browser, page);
}

TEST_F(ReportPage, JudgesByTheThresholdOfTheSlider) {
  const ReportInput report = input(60);
  const fs::path page = write(report);
  Browser browser(program_, {});
  browser.open(page);
  const auto cells = [&] {
    return browser.value("[...document.querySelectorAll('.matrix td')].map(cell => Number(cell.textContent))");
  };
  const ClassMetrics& m = report.metrics.overall;
  const auto all = [](int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f) {
    return nlohmann::json{a, b, c, d, e, f};
  };
  EXPECT_EQ(cells(), all(m.tp, m.n_defect - m.tp, 0, m.n_normal - m.tn - m.invalid_normal, m.tn, m.invalid_normal));
  browser.click("#threshold input[type=range]");  // the middle: a threshold of one half
  EXPECT_NE(text_of(browser, "#threshold .state").find("A defect from 0.5 on."), std::string::npos);
  browser.value("document.querySelector('#threshold input[type=range]').focus()");
  for (int i = 0; i < 100; ++i) browser.press("ArrowRight");
  int64_t found = 0, alarms = 0;
  for (const Prediction& p : report.predictions) {
    if (p.unreadable() || p.verdict == Verdict::kInvalid || *p.score < 0.6) continue;
    (p.label == Verdict::kDefect ? found : alarms) += 1;
  }
  EXPECT_EQ(cells(), all(found, m.n_defect - found, 0, alarms, m.n_normal - alarms - 1, 1));
  EXPECT_NE(text_of(browser, "[data-kind=alarm]").find(concat(alarms)), std::string::npos);
  browser.click("#threshold .controls button:nth-child(5)");  // at most 10% of false alarms
  const nlohmann::json now = cells();
  EXPECT_NEAR(now[0].get<double>() / static_cast<double>(m.n_defect), *m.recall_at_false_alarms[3], 1e-9);
  browser.click("#threshold .controls button");  // as answered
  EXPECT_EQ(cells()[0], m.tp);
  EXPECT_EQ(count_of(browser, "#threshold .roc svg"), 1);
  expect_quiet(browser, page);
}

TEST_F(ReportPage, OrdersFiltersAndSorts) {
  const fs::path page = write(input(60));
  Browser browser(program_, {});
  browser.open(page);
  const auto facts = [&](const std::string& selector) {
    return browser.value("[...document.querySelectorAll('" + selector + "')].map(one => one.textContent)");
  };
  // Mistakes come first, those that the score was surest of at the top.
  double before = 1;
  for (const std::string fact : facts(".card.missed .facts, .card.alarm .facts")) {
    const double score = std::stod(fact.substr(fact.find("score ") + 6));
    const double sure = fact.starts_with("answer defect") ? score : 1 - score;
    EXPECT_LE(sure, before + 0.0006) << fact;
    before = sure;
  }
  browser.click("[data-kind=missed]");
  EXPECT_EQ(count_of(browser, ".card"), count_of(browser, ".card.missed"));
  EXPECT_GT(count_of(browser, ".card"), 0);
  browser.press("/");
  browser.type("no such words");
  EXPECT_EQ(text_of(browser, "#images [role=status]"), "no image is like that");
  browser.value(
      "const words = document.querySelector('input[type=search]'); words.value = ''; "
      "words.dispatchEvent(new Event('input'))");
  browser.click("[data-kind=unreadable]");
  EXPECT_NE(text_of(browser, ".card").find("cut off"), std::string::npos);
  browser.click("table.objects th:nth-child(1) button");
  EXPECT_EQ(facts("table.objects tbody td:first-child"), (nlohmann::json{"nut <b>", "gear"}));
  browser.click("table.objects th:nth-child(6) button");
  EXPECT_EQ(browser.value("document.querySelector('table.objects th:nth-child(6)').getAttribute('aria-sort')"),
            "descending");
  const nlohmann::json recalls = facts("table.objects tbody td:nth-child(6)");
  EXPECT_GE(std::stod(recalls[0].get<std::string>()), std::stod(recalls[1].get<std::string>()));
  EXPECT_EQ(count_of(browser, "#types .bar"), 6);
  expect_quiet(browser, page);
}

TEST_F(ReportPage, ShowsAnImageAtLargeWithItsMapByTheKeyboard) {
  ReportInput report = input(30);
  add_thumbnails(report);
  const fs::path page = write(report);
  Browser browser(program_, {});
  browser.open(page);
  browser.value(
      "document.querySelector('[aria-label=Order]').value = 'data'; "
      "document.querySelector('[aria-label=Order]').dispatchEvent(new Event('change'))");
  browser.value("document.querySelector('.card').focus()");
  browser.press("Enter");
  EXPECT_EQ(browser.value("document.querySelector('dialog').open"), true);
  EXPECT_EQ(text_of(browser, "dialog .soft"), "1 of 30");
  EXPECT_EQ(browser.value("document.querySelector('dialog .map').hidden"), false);
  browser.press("m");
  EXPECT_EQ(browser.value("document.querySelector('dialog .map').hidden"), true);
  browser.press("ArrowRight");
  EXPECT_EQ(text_of(browser, "dialog .soft"), "2 of 30");
  EXPECT_EQ(count_of(browser, "dialog .map"), 0);
  browser.press("ArrowLeft");
  browser.click("dialog .stage");
  EXPECT_EQ(count_of(browser, "dialog .near"), 1);
  browser.press("Escape");
  EXPECT_EQ(browser.value("document.querySelector('dialog').open"), false);
  expect_quiet(browser, page);
}

TEST_F(ReportPage, FiltersByVerdictWithoutLabelsAndFitsAPhone) {
  const fs::path page = write(input(300, /*labelled=*/false));
  Browser browser(program_, {.width = 390, .height = 844});
  browser.open(page);
  EXPECT_EQ(browser.value("document.querySelector('[data-kind=missed]').hidden"), true);
  browser.click("[data-kind=defect]");
  EXPECT_GT(count_of(browser, ".card"), 0);
  for (const std::string facts :
       browser.value("[...document.querySelectorAll('.card .facts')].map(one => one.textContent)"))
    EXPECT_TRUE(facts.starts_with("answer defect")) << facts;
  EXPECT_LE(browser.value("document.documentElement.scrollWidth"), 390);
  EXPECT_LT(browser.value("document.documentElement.scrollHeight"), 12'000);
  EXPECT_EQ(count_of(browser, "table.objects, #types"), 0);
  expect_quiet(browser, page);
}

TEST_F(ReportPage, TakesTenThousandPredictions) {
  ReportInput report = input(10'000);
  for (Prediction& p : report.predictions) p.text += std::string(500, 'x');
  const fs::path page = write(report);
  Browser browser(program_, {});
  const auto start = std::chrono::steady_clock::now();
  browser.open(page);
  browser.settle();
  const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - start;
  const double load = browser.cpu_seconds();
  double slowest = 0;
  for (const char* action : {"document.querySelector('[data-kind=wrong]').click()",
                             "gallery.words.value = 'number 77'; gallery.filter()", "threshold.set(0.6)"}) {
    const double before = browser.cpu_seconds();
    browser.value(action);
    browser.settle();
    slowest = std::max(slowest, browser.cpu_seconds() - before);
  }
  std::cout << "10,000 predictions (" << fs::file_size(page) / 1000 << " kB): loaded in " << load
            << " s of the processor, " << waited.count() << " s by the clock; slowest filter " << slowest << " s\n";
  // Ten times what tests/bench/README.md says: only work that grows with the square of the rows takes longer.
  EXPECT_LT(load, 15);
  EXPECT_LT(slowest, 3);
  expect_quiet(browser, page);
}

}  // namespace
}  // namespace lriad
