#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lriad/data/dataset.h"

namespace lriad {

/// The normal images of which prompts show some before the image to judge (data.reference).
class References {
 public:
  /// Keeps the normal images of `pool`, each file once; `origin` names the pool in messages.
  References(const std::vector<Sample>& pool, int64_t count, uint64_t seed, std::string origin);

  using Images = std::map<std::string, std::vector<Sample>>;  ///< their paths without links

  int64_t count() const { return count_; }                ///< images in each prompt
  const Images& by_object() const { return by_object_; }  ///< all normal images that may be drawn

  /// All normal images of the sample's object, in an order drawn by (seed, epoch, sample.id), never the sample's own
  /// file. A prompt shows the first count() that can be read. Throws Error as refuse() if there are fewer.
  std::vector<const Sample*> drawn(const Sample& sample, int64_t epoch) const;

  /// Throws Error as refuse() if no prompt of the sample can have count() images.
  void expect_enough(const Sample& sample) const;

  /// All normal images of the sample's object in the order of the pool; of the objects that prompts call so if none is
  /// spelled like it, as for `lriad-eval --object NAME`.
  const std::vector<Sample>& of_object(const Sample& sample) const;

  /// Files of images of the sample's object by Sample::image.
  std::vector<std::filesystem::path> files(const Sample& sample, const std::vector<std::string>& images) const;

  /// Throws Error naming the object, the images found and those needed.
  [[noreturn]] void refuse(const Sample& sample, int64_t found) const;

 private:
  int64_t count_;
  uint64_t seed_;
  std::string origin_;
  Images by_object_, by_name_;
};

/// The references that `section` asks for; null if it asks for none. They come from section.reference.root if that is
/// set (its split train, or all images of a data set without one), else from `data`, the images of a training run, and
/// where that is null from the split train of section.root. Throws Error as read_dataset(), and if there is no such
/// split.
std::shared_ptr<const References> read_references(const DataSection& section, const Dataset* data, uint64_t seed);

}  // namespace lriad
