#include "eval_watch.h"

#include <chrono>
#include <deque>
#include <iostream>
#include <map>
#include <thread>

#include "eval_data.h"
#include "eval_model.h"
#include "eval_output.h"
#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "lriad/data/folder_watch.h"
#include "lriad/eval/predictions.h"
#include "lriad/run/stop_signal.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto kBetweenLooks = 1s;

class Watcher {
 public:
  Watcher(const EvalCommandLine& line, const EvalConfig& given, const std::optional<double>& threshold)
      : line_(line),
        config_(given.config),
        threshold_(threshold),
        output_(line.output, line.resume      ? Existing::kKeep
                             : line.overwrite ? Existing::kReplace
                                              : Existing::kRefuse),
        model_(line, given),
        references_(read_eval_references(config_)),
        watch_(line.images, config_.data.follow_links) {}

  int run() {
    const StopSignal stop;
    start();
    try {
      while (StopSignal::number() == 0) {
        const bool written = write();
        if (!written || !answer(watch_.look())) wait();
      }
    } catch (const Stopped&) {
    }
    if (!write()) log_warning(concat(unwritten_.size(), " answers could not be written and are lost"));
    log_info(concat("stopped by signal ", StopSignal::number(), " after ", num_answers_, " answers"));
    return line_.fail_on_defect && defect_ ? kDefectExit : 128 + StopSignal::number();
  }

 private:
  void start() {
    model_.load();
    Dataset none;
    none.references = references_;
    Sample any;
    any.object = any.object_name = line_.object;
    reference_tokens_ = ReferenceTokens(none, model_.preparer()).most(any);
    output_.set_threshold(threshold_);
    if (line_.resume) {
      std::map<std::string, int64_t> times;
      for (const Prediction& before : output_.answers_so_far(model_.settings(threshold_), nullptr)) {
        ++times[before.image];
        note(before);
      }
      for (const auto& [image, count] : times) watch_.know(image, count);
    }
    output_.start(model_.settings(threshold_));
    log_info(concat("watching ", line_.images.front(), line_.images.size() > 1 ? " and others" : "", "; answers go to ",
                    output_.predictions_path().string(), "; SIGTERM or Ctrl-C ends it"));
  }

  /// Asks about images that have come; false if there are none.
  bool answer(const std::vector<FolderWatch::Found>& found) {
    if (found.empty()) return false;
    Dataset dataset;
    dataset.references = references_;
    std::map<std::string, FolderWatch::Found> asked;
    for (const FolderWatch::Found& one : found) {
      try {
        dataset.samples.push_back(sample_of(one));
        asked.emplace(dataset.samples.back().id, one);
      } catch (const Error& error) {
        refuse(one, error.what());
      }
    }
    model_.answer(dataset, output_, threshold_, [&](const Prediction& p) { take(p, asked.at(p.sample_id)); });
    return true;
  }

  /// Throws Error if its prompt would be too long, which would end the evaluation of the others.
  Sample sample_of(const FolderWatch::Found& found) const {
    Dataset one = read_images({found.image}, line_.object, config_.data.follow_links);
    Sample& sample = one.samples.front();
    if (found.time > 1) sample.id = concat(sample.image, "#", found.time);
    model_.preparer().check_prompt(sample, reference_tokens_);
    return sample;
  }

  void refuse(const FolderWatch::Found& found, const std::string& error) {
    Prediction prediction;
    prediction.sample_id = found.time > 1 ? concat(found.image, "#", found.time) : found.image;
    prediction.image = found.image;
    prediction.object = line_.object;
    prediction.error = error;
    take(prediction, found);
  }

  void take(const Prediction& prediction, const FolderWatch::Found& found) {
    std::error_code error;
    const bool removed = !fs::exists(found.image, error);
    if (prediction.unreadable() && (removed || !found.last_try)) {
      if (removed) log_info(concat(found.image, " was removed before it was looked at"));
      watch_.wait_for(found);
      return;
    }
    note(prediction);
    std::cout << verdict_text(prediction) << "\t";
    if (prediction.score) std::cout << *prediction.score;
    std::cout << "\t" << prediction.image << std::endl;
    unwritten_.push_back(prediction);
    write();
  }

  void note(const Prediction& prediction) {
    ++num_answers_;
    defect_ = defect_ || called_defect(prediction);
  }

  /// Writes what waits. A full disk must not end the watch: false, and the answers wait for room.
  bool write() {
    try {
      for (; !unwritten_.empty(); unwritten_.pop_front()) output_.add(unwritten_.front());
    } catch (const Error& error) {
      if (!complained_) log_warning(concat(error.what(), "; the answers wait until it can be written again"));
      complained_ = true;
      return false;
    }
    if (complained_) log_info(concat(output_.predictions_path().string(), " can be written again"));
    complained_ = false;
    return true;
  }

  static void wait() {
    const auto until = std::chrono::steady_clock::now() + kBetweenLooks;
    while (StopSignal::number() == 0 && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(50ms);
  }

  const EvalCommandLine& line_;
  const Config& config_;
  std::optional<double> threshold_;
  EvalOutput output_;
  EvalModel model_;
  std::shared_ptr<const References> references_;
  std::vector<int64_t> reference_tokens_;  ///< most that each of a prompt's reference images can have
  FolderWatch watch_;
  std::deque<Prediction> unwritten_;
  int64_t num_answers_ = 0;
  bool defect_ = false;
  bool complained_ = false;
};

}  // namespace

int watch_images(const EvalCommandLine& line, const EvalConfig& given, const std::optional<double>& threshold) {
  return Watcher(line, given, threshold).run();
}

}  // namespace lriad
