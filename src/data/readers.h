#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "lriad/data/dataset.h"

namespace lriad {

/// The samples of one format below `root`, of the wanted objects and split, in any order; `id`, `path` and
/// `object_name` are filled in by read_dataset(). All throw Error as it does.
std::vector<Sample> read_mvtec(const std::filesystem::path& root, const DataSection& section);
std::vector<Sample> read_visa(const std::filesystem::path& root, const DataSection& section);
std::vector<Sample> read_folder(const std::filesystem::path& root, const DataSection& section);
std::vector<Sample> read_jsonl(const std::filesystem::path& file, const DataSection& section);

/// The objects to take: all known ones, or those of data.objects. Throws Error listing the known ones if one is not
/// known.
std::set<std::string> wanted_objects(const DataSection& section, const std::set<std::string>& known);

/// Names joined by commas, the first 40 of them.
std::string listed(const std::set<std::string>& names);

}  // namespace lriad
