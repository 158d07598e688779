#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lriad/config/config.h"
#include "lriad/core/verdict.h"

namespace lriad {

/// One image of a data set.
struct Sample {
  std::string id;  ///< unique in its data set, stable between runs: `image`, then `image#2` if it comes again
  std::filesystem::path path;  ///< absolute
  std::string image;           ///< relative to the data root, forward slashes; absolute for --images
  std::string object;
  std::string object_name;       ///< what {object} becomes: the alias, or `object` with `_` as spaces
  std::string defect_type;       ///< folder or label of the defect as it is written; "" for normal images
  std::optional<Verdict> label;  ///< null: unlabelled
  std::filesystem::path mask;    ///< where its defect is: an image, or a folder of images; empty: not known
  std::string response;          ///< target text of stage sft (jsonl); else empty
};

class References;

/// A list of samples in the fixed order of their sorted paths.
struct Dataset {
  std::filesystem::path root;
  std::vector<Sample> samples;
  std::vector<std::string> left_out = {};  ///< folders with images below the root that the format does not read
  std::shared_ptr<const References> references =
      nullptr;  ///< what prompts show first; null: nothing. For others to set
  int64_t count(Verdict label) const;
  int64_t count(Verdict label, const std::string& object) const;
};

/// Reads the data set that `section` describes. Images are files that end in png, jpg, jpeg, bmp, tif, tiff, webp or
/// gif in any case; other files, hidden ones and folders named ground_truth are passed over. A folder of normal images
/// is named good, ok, normal or the like in any case; names of splits are no types of defects.
///
/// mvtec   <root>/<object>/{train,test}/<type>/<image>. split: all (train + test) | train | test | validation.
/// loco, mvtec_ad2, btad, mpdd, dtd_synthetic   the same with other splits; `all` of loco and mvtec_ad2 has the
/// validation
///         images too; mvtec_ad2 has the splits test (test_public), test_private and test_private_mixed (unlabelled).
/// visa    <root>/<object>/Data/Images/{Normal,Anomaly}/<image>; the defect type comes from <object>/image_anno.csv
///         where it has columns image and label, else it is `anomaly`. split: all (both folders) | train | test of
///         split_csv/1cls.csv | <table>/train | <table>/test of another file of split_csv, such as 2cls_highshot/train.
///         A copy that VisA's script made (1cls, 2cls_fewshot, 2cls_highshot) is read as mvtec.
/// real_iad   the lists realiad_jsons/<object>.json (or one folder deeper) beside realiad_<size>/<object>/<image>;
///         `root` is the folder of both, or realiad_<size> itself. split: all | train | test | <variant>/test of
///         realiad_jsons_<variant>, such as sv/test.
/// dagm    <root>/<object>/{Train,Test}/<image>; those with a mask in Label/ are defects. split: all | train | test.
/// kolektor_sdd2, kolektor_sdd   <root>/{train,test}/<image> or <root>/<part>/<image>; those whose mask <image>_GT.png
/// or
///         <image>_label.bmp is not black are defects.
/// meta_json   `root` is a file {"train": {object: [{img_path, cls_name, specie_name, anomaly}]}, "test": ...}, or has
///         lines {filename, clsname, label, label_name} as UniAD's; or a folder with meta.json, or train.json and
///         test.json. Images are relative to the file's folder or to one beside the file.
/// mmad    mmad.json or its folder: the item of type "Anomaly Detection" of each image gives the label. split: all.
/// iad_r1  JSON or JSONL of {image or images, problem, solution} or of turns; the answer (yes, no, or a letter with the
/// text
///         of its option) gives the label; of several images the last is asked about. split: all.
/// folder  <root>/<object>/<class>/<image>, or <root>/<class>/<image> if the root has a class folder for normal images
///         itself: then of one object named as the root, or as data.objects where the root's name says nothing, such
///         as test. split: all.
/// jsonl   `root` is a file with a JSON object per line: image (relative to the file's folder), object, label (defect |
///         normal, 1 | 0, null or, beside a response, absent: unlabelled), optional defect_type, mask (as image),
///         response and split. split: all | a value of the key `split`.
///
/// Masks of defects are found where the layout has them: <object>/ground_truth/<type>/<stem>_mask.png or
/// <stem>.png, or a folder <stem> of several (loco); mvtec_ad2 has ground_truth in the split's folder; visa
/// <object>/Data/Masks/Anomaly/<stem>.png; kolektor and dagm the masks that tell the label; jsonl and meta_json keys.
///
/// Links, absolute paths and `..` are followed wherever they lead, unless section.follow_links is false.
/// `max_samples` takes that many, spread evenly over the sorted list. Compares path components, never substrings.
/// Throws Error naming the folder, file or line when the layout does not fit, an object or a split is not there, a
/// link leads back to a folder that holds it, labelled test images would be left out, or nothing is found. The images
/// themselves are not opened.
Dataset read_dataset(const DataSection& section);

/// Images without labels for `lriad-eval --images`: files as they are given, folders searched recursively; sorted,
/// each once; what an evaluation has written below one (beside a predictions.jsonl) is passed over. Throws Error for a
/// missing path, a folder without images, links that lead back to a folder that holds them, or, unless `follow_links`,
/// leave a folder.
Dataset read_images(const std::vector<std::string>& paths, const std::string& object_name, bool follow_links = true);

/// Table of objects, defect types and counts with the share of defects, printed at start; lines end in \n.
std::string describe(const Dataset& dataset);

/// Indices into dataset.samples for epoch `epoch` (0-based), as many as there are samples. shuffle: a permutation.
/// class_balanced: classes alternate evenly, in random order within each round; object_balanced: objects do, and within
/// an object its classes. The samples of a class come in one permutation after another, continued in the next epoch.
/// Unlabelled images form a class. The result depends on the arguments alone.
std::vector<int64_t> epoch_order(const Dataset& dataset, SamplerKind sampler, uint64_t seed, int64_t epoch);

/// The target text of stage sft: sample.response if it is not empty, else a text of sft.responses for its label, chosen
/// at random by (seed, epoch, index), with {object} and {defect_type} (`_` as spaces) filled in. Throws Error if there
/// is none.
std::string target_response(const Sample& sample, const SftSection& section, uint64_t seed, int64_t epoch,
                            int64_t index);

}  // namespace lriad
