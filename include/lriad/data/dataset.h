#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lriad/config/config.h"

namespace lriad {

enum class Label { kNormal, kDefect };
const char* label_name(Label label);  ///< "normal" | "defect"

/// One picture of a data set.
struct Sample {
  std::string id;              ///< unique in its data set, stable between runs: the relative path
  std::filesystem::path path;  ///< absolute
  std::string image;           ///< relative to the data root, forward slashes; absolute for --images
  std::string object;
  std::string object_name;     ///< what {object} becomes: the alias, or `object` with `_` as spaces
  std::string defect_type;     ///< "good" of the layout is "" here
  std::optional<Label> label;  ///< null: unlabelled
  std::string response;        ///< target text of stage sft (jsonl); else empty
};

/// A list of samples in the fixed order of their sorted paths.
struct Dataset {
  std::filesystem::path root;
  std::vector<Sample> samples;
  int64_t count(Label label) const;
  int64_t count(Label label, const std::string& object) const;
};

/// Reads mvtec, visa, folder or jsonl. Compares path components, never substrings; refuses paths that leave the root. Throws
/// Error naming the folder, line or file when the layout does not fit or nothing is found.
Dataset read_dataset(const DataSection& section);

/// Files and folders (searched recursively, sorted) without labels for `lriad-eval --images`.
Dataset read_images(const std::vector<std::string>& paths, const std::string& object_name);

/// Table of objects, defect types and counts with the share of defects, printed at start.
std::string describe(const Dataset& dataset);

/// Indices into dataset.samples in the order of epoch `epoch` (0-based): a permutation for shuffle; for class_balanced
/// and object_balanced, as many draws as samples, classes (or objects, then classes within) alternating evenly, each
/// class walked through permutation after permutation. A pure function of its arguments.
std::vector<int64_t> epoch_order(const Dataset& dataset, SamplerKind sampler, uint64_t seed, int64_t epoch);

/// The target text of stage sft: sample.response, else one of sft.responses of its label drawn by (seed, epoch, index),
/// with {object} and {defect_type} filled in. Throws Error if there is none.
std::string target_response(const Sample& sample, const SftSection& section, uint64_t seed, int64_t epoch,
                            int64_t index);

}  // namespace lriad
