#include "lriad/data/references.h"

#include <set>
#include <system_error>
#include <utility>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/core/log.h"
#include "lriad/core/random.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

fs::path without_links(const fs::path& path) {
  std::error_code error;
  const fs::path real = fs::weakly_canonical(path, error);
  return error ? path : real;
}

/// A number that names the sample in any list that holds it.
uint32_t number_of(const Sample& sample) {
  constexpr size_t kDigits = 8;
  return static_cast<uint32_t>(std::stoul(sha256_hex(sample.id).substr(0, kDigits), nullptr, /*base=*/16));
}

/// The images of split train. Throws Error that says what to do if there are none.
Dataset training_images(const DataSection& given) {
  DataSection section = given;
  section.split = "train";
  section.max_samples.reset();
  try {
    return read_dataset(section);
  } catch (const Error& error) {
    fail("data", "data.reference draws training images, which ", section.root, " does not give: ", error.what(),
         "; name the data set that has them by data.reference.root");
  }
}

/// The images of data.reference.root. A data set without a split train holds training images only, as whoever names it
/// says.
Dataset named_images(const DataSection& given) {
  DataSection section = given;
  section.root = *given.reference.root;
  section.max_samples.reset();
  section.split = "train";
  try {
    return read_dataset(section);
  } catch (const Error&) {
    section.split = "all";
  }
  Dataset dataset = read_dataset(section);
  log_info(concat("data.reference.root ", section.root, " has no split train; its images of split all are drawn from"));
  return dataset;
}

}  // namespace

References::References(const std::vector<Sample>& pool, int64_t count, uint64_t seed, std::string origin)
    : count_(count), seed_(seed), origin_(std::move(origin)) {
  std::set<std::pair<std::string, fs::path>> seen;
  for (const Sample& sample : pool) {
    if (sample.label != Verdict::kNormal) continue;
    Sample kept = sample;
    kept.path = without_links(sample.path);
    if (!seen.emplace(sample.object, kept.path).second) continue;
    by_name_[sample.object_name].push_back(kept);
    by_object_[sample.object].push_back(std::move(kept));
  }
}

const std::vector<Sample>& References::of_object(const Sample& sample) const {
  static const std::vector<Sample> none;
  if (const auto found = by_object_.find(sample.object); found != by_object_.end()) return found->second;
  const auto named = by_name_.find(sample.object_name);
  return named == by_name_.end() ? none : named->second;
}

std::vector<const Sample*> References::drawn(const Sample& sample, int64_t epoch) const {
  const std::vector<Sample>& images = of_object(sample);
  const fs::path own = without_links(sample.path);
  const CounterRandom random(seed_, RandomUse::kReference);
  std::vector<const Sample*> order;
  for (const int64_t i : random.permutation(std::ssize(images), number_of(sample), static_cast<uint32_t>(epoch))) {
    const Sample& image = images[static_cast<size_t>(i)];
    if (image.path != own) order.push_back(&image);
  }
  if (std::ssize(order) < count_) refuse(sample, std::ssize(order));
  return order;
}

void References::expect_enough(const Sample& sample) const {
  // One more than needed is enough even if the sample's own image is among them.
  if (std::ssize(of_object(sample)) <= count_) drawn(sample, /*epoch=*/0);
}

std::vector<fs::path> References::files(const Sample& sample, const std::vector<std::string>& images) const {
  std::vector<fs::path> files;
  for (const std::string& name : images) {
    for (const Sample& image : of_object(sample)) {
      if (image.image != name) continue;
      files.push_back(image.path);
      break;
    }
  }
  return files;
}

void References::refuse(const Sample& sample, int64_t found) const {
  std::string objects;
  for (const auto& [object, images] : by_object_) objects += (objects.empty() ? "" : ", ") + object;
  fail("data", "object ", sample.object, ": data.reference.normal needs ", count_, " normal images besides ",
       sample.image, " itself, but ", found, " of ", origin_, " can be had",
       by_object_.contains(sample.object) || by_name_.contains(sample.object_name)
           ? std::string("; lower it, or add images")
           : concat(", which has normal images of: ", objects));
}

std::shared_ptr<const References> read_references(const DataSection& section, const Dataset* data, uint64_t seed) {
  const ReferenceSection& reference = section.reference;
  if (reference.normal == 0) return nullptr;
  const bool own = !reference.root && data != nullptr;
  const Dataset pool = own ? *data : reference.root ? named_images(section) : training_images(section);
  const std::string origin = reference.root.value_or(section.root);
  log_info(concat("prompts show normal images of the object before the one to judge: ", reference.normal, " of ",
                  origin, data == nullptr ? "" : ", drawn anew in each epoch"));
  return std::make_shared<References>(pool.samples, reference.normal, seed, origin);
}

}  // namespace lriad
