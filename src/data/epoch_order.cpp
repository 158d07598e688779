#include <array>
#include <map>

#include "lriad/core/random.h"
#include "lriad/data/dataset.h"

namespace lriad {
namespace {

/// Walks through the same members without end, each time in the order of another permutation.
class Walk {
 public:
  Walk(const CounterRandom& random, uint32_t stream) : random_(random), stream_(stream) {}
  void add(int64_t member) { members_.push_back(member); }
  bool empty() const { return members_.empty(); }

  int64_t at(int64_t position) {
    const auto size = static_cast<int64_t>(members_.size());
    const int64_t round = position / size;
    if (round != round_) order_ = random_.permutation(size, static_cast<uint32_t>(round), stream_);
    round_ = round;
    return members_[static_cast<size_t>(order_[static_cast<size_t>(position % size)])];
  }

 private:
  const CounterRandom& random_;
  uint32_t stream_;
  std::vector<int64_t> members_, order_;
  int64_t round_ = -1;
};

/// Draws from the classes of one group in turn.
struct Group {
  std::vector<Walk> classes;

  int64_t at(int64_t position) {
    const auto count = static_cast<int64_t>(classes.size());
    return classes[static_cast<size_t>(position % count)].at(position / count);
  }
};

size_t class_of(const Sample& sample) {
  if (!sample.label) return 2;
  return *sample.label == Verdict::kDefect ? 1 : 0;
}

/// A group per object; classes that do not occur are left out.
std::vector<Group> object_groups(const Dataset& dataset, const CounterRandom& random) {
  std::map<std::string, std::array<std::vector<int64_t>, 3>> objects;
  for (size_t i = 0; i < dataset.samples.size(); ++i) {
    objects[dataset.samples[i].object][class_of(dataset.samples[i])].push_back(static_cast<int64_t>(i));
  }
  std::vector<Group> groups;
  uint32_t stream = 0;
  for (const auto& [name, classes] : objects) {
    Group& group = groups.emplace_back();
    for (const std::vector<int64_t>& members : classes) {
      Walk walk(random, ++stream);
      for (const int64_t member : members) walk.add(member);
      if (!walk.empty()) group.classes.push_back(std::move(walk));
    }
  }
  return groups;
}

/// A group per class, over all objects.
std::vector<Group> class_groups(const Dataset& dataset, const CounterRandom& random) {
  std::array<std::vector<int64_t>, 3> classes;
  for (size_t i = 0; i < dataset.samples.size(); ++i) {
    classes[class_of(dataset.samples[i])].push_back(static_cast<int64_t>(i));
  }
  std::vector<Group> groups;
  uint32_t stream = 0;
  for (const std::vector<int64_t>& members : classes) {
    Walk walk(random, ++stream);
    for (const int64_t member : members) walk.add(member);
    if (!walk.empty()) groups.emplace_back().classes.push_back(std::move(walk));
  }
  return groups;
}

}  // namespace

std::vector<int64_t> epoch_order(const Dataset& dataset, SamplerKind sampler, uint64_t seed, int64_t epoch) {
  const auto count = static_cast<int64_t>(dataset.samples.size());
  if (sampler == SamplerKind::kShuffle) {
    return CounterRandom(seed, RandomUse::kShuffle).permutation(count, static_cast<uint32_t>(epoch));
  }
  const CounterRandom random(seed, RandomUse::kBalance);
  std::vector<Group> groups =
      sampler == SamplerKind::kClassBalanced ? class_groups(dataset, random) : object_groups(dataset, random);
  // Stream 0 orders the groups within each round: element i of the endless sequence lies in round i / groups.
  Walk turns(random, 0);
  for (size_t i = 0; i < groups.size(); ++i) turns.add(static_cast<int64_t>(i));
  std::vector<int64_t> order;
  for (int64_t draw = epoch * count; draw < (epoch + 1) * count; ++draw) {
    Group& group = groups[static_cast<size_t>(turns.at(draw))];
    order.push_back(group.at(draw / static_cast<int64_t>(groups.size())));
  }
  return order;
}

}  // namespace lriad
