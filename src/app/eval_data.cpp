#include "eval_data.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/core/log.h"
#include "lriad/core/random.h"
#include "lriad/data/references.h"

namespace lriad {
namespace {

using Queue = std::vector<size_t>;  ///< samples of one label of one object, the next one last

/// The queues of each object, objects and samples in the order that the seed draws.
std::vector<std::vector<Queue>> queues_of(const Dataset& dataset, uint64_t seed) {
  const CounterRandom random(seed, RandomUse::kLimit);
  std::map<std::string, std::map<std::optional<Verdict>, Queue>> objects;
  for (const int64_t i : random.permutation(static_cast<int64_t>(dataset.samples.size()), 0)) {
    const Sample& sample = dataset.samples[static_cast<size_t>(i)];
    objects[sample.object][sample.label].push_back(static_cast<size_t>(i));
  }
  std::vector<std::vector<Queue>> sorted;
  for (auto& [object, labels] : objects) {
    std::vector<Queue>& queues = sorted.emplace_back();
    for (auto& [label, queue] : labels) queues.push_back(std::move(queue));
  }
  std::vector<std::vector<Queue>> drawn;
  for (const int64_t k : random.permutation(static_cast<int64_t>(sorted.size()), 1)) {
    drawn.push_back(std::move(sorted[static_cast<size_t>(k)]));
  }
  return drawn;
}

}  // namespace

void limit_samples(Dataset& dataset, int64_t count, uint64_t seed) {
  if (count >= static_cast<int64_t>(dataset.samples.size())) return;
  std::vector<std::vector<Queue>> objects = queues_of(dataset, seed);
  std::vector<size_t> taken;
  for (size_t turn = 0; std::ssize(taken) < count; ++turn) {
    std::vector<Queue>& queues = objects[turn % objects.size()];
    if (queues.empty()) continue;
    // Neighbouring objects begin with different labels, so that few samples show both.
    const auto queue =
        queues.begin() + static_cast<std::ptrdiff_t>((turn % objects.size() + turn / objects.size()) % queues.size());
    taken.push_back(queue->back());
    queue->pop_back();
    if (queue->empty()) queues.erase(queue);
  }
  std::ranges::sort(taken);
  std::vector<Sample> kept;
  for (const size_t i : taken) kept.push_back(std::move(dataset.samples[i]));
  dataset.samples = std::move(kept);
}

std::shared_ptr<const References> read_eval_references(const Config& config) {
  const ReferenceSection& reference = config.data.reference;
  if (reference.normal > 0 && config.data.root.empty() && !reference.root) {
    fail("app", "data.reference.normal is ", reference.normal, ", but no training images are known to draw from; give ",
         "--set data.reference.root=DIR, with --set data.format=... if it is not mvtec");
  }
  return read_references(config.data, nullptr, config.seed);
}

Dataset read_eval_data(const EvalCommandLine& line, const Config& config) {
  if (line.images.empty() && std::filesystem::is_directory(config.data.root) &&
      lies_in(line.output, config.data.root)) {
    fail("app", "--output ", line.output, " is or lies in ", config.data.root,
         ", whose images would mix with those of the report; choose a folder outside");
  }
  Dataset dataset =
      line.images.empty() ? read_dataset(config.data) : read_images(line.images, line.object, config.data.follow_links);
  if (line.limit) limit_samples(dataset, *line.limit, config.seed);
  log_info(concat("data\n", describe(dataset)));
  return dataset;
}

}  // namespace lriad
