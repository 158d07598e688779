#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "listing.h"
#include "lriad/config/data_formats.h"
#include "lriad/data/dataset.h"

namespace lriad {

/// What a reader finds at data.root: samples of the wanted objects and split, in any order, with image, object,
/// defect_type, label, mask and response; read_dataset() fills in the rest.
struct Listing {
  std::filesystem::path root;  ///< absolute; the samples' `image` is relative to it, or absolute
  std::vector<Sample> samples;
  std::vector<std::string> left_out;  ///< folders with images below the root that the format does not read
};

/// The reader of each format; all throw Error as read_dataset() does.
#define LRIAD_DECLARE_READER(name, ...) Listing read_##name(const DataSection& section);
LRIAD_DATA_FORMATS(LRIAD_DECLARE_READER)
#undef LRIAD_DECLARE_READER

/// Adds a folder's images to `samples`, all with this object and label. For defects only, `defect_type` counts, and
/// their masks are looked for in the folder `masks`.
void take_images(const Folder& folder, const std::string& object, std::optional<Verdict> label,
                 const std::string& defect_type, const std::filesystem::path& masks, std::vector<Sample>& samples);

/// The objects to take: all known ones, or those of data.objects. Throws Error listing the known ones if one of
/// data.objects or data.object_names is not known.
std::set<std::string> wanted_objects(const DataSection& section, const std::set<std::string>& known);

/// Removes samples of other than the wanted objects; throws Error as wanted_objects().
void keep_wanted(const DataSection& section, const std::set<std::string>& known, std::vector<Sample>& samples);

/// Throws Error naming the known splits if section.split is none of them.
void check_split(const DataSection& section, const std::set<std::string>& known);

/// Names joined by commas, the first 40 of them.
std::string listed(const std::set<std::string>& names);

}  // namespace lriad
