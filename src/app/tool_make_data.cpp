#include "tool_make_data.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/vision/write_png.h"
#include "tool_make_data_parts.h"
#include "tool_new_folder.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int64_t kMostImages = 1000000;
constexpr int64_t kDefaultObjects = 8;
constexpr const char* kManifest = "make_data.json";

struct MakeDataOptions {
  std::string output;
  std::string format = "mvtec";
  std::vector<std::string> objects;
  int64_t images = 100;
  double defect_rate = 0.1;
  int64_t size = 56;
  uint64_t seed = 0;
  double contrast_min = 0.3;
  double contrast_max = 1.0;
  double overlook_below = 0;
  bool masks = false;
};

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void check_rate(const char* option, double value) {
  if (!(value >= 0 && value <= 1)) fail("app", option, " is ", value, ", expected 0 to 1");
}

void check_objects(const std::vector<std::string>& objects) {
  const auto& known = part_names();
  for (auto name = objects.begin(); name != objects.end(); ++name) {
    if (std::find(known.begin(), known.end(), *name) == known.end()) {
      fail("app", "--objects: ", *name, " is not known, expected some of ", listed(known));
    }
    if (std::find(objects.begin(), name, *name) != name) fail("app", "--objects: ", *name, " is given twice");
  }
}

void check(const MakeDataOptions& options) {
  if (options.format != "mvtec" && options.format != "jsonl") {
    fail("app", "--format is ", options.format, ", expected mvtec or jsonl");
  }
  if (options.images < 1 || options.images > kMostImages) {
    fail("app", "--images is ", options.images, ", expected 1 to ", kMostImages);
  }
  if (options.size < 8 || options.size > 4096) fail("app", "--size is ", options.size, ", expected 8 to 4096 pixels");
  check_rate("--defect-rate", options.defect_rate);
  check_rate("--contrast-min", options.contrast_min);
  check_rate("--contrast-max", options.contrast_max);
  check_rate("--overlook-below", options.overlook_below);
  if (options.contrast_min > options.contrast_max) {
    fail("app", "--contrast-min is ", options.contrast_min, ", above --contrast-max, ", options.contrast_max);
  }
  if (options.overlook_below > 0 && options.format != "jsonl") {
    fail("app", "--overlook-below acts on target texts, which only --format jsonl has");
  }
  check_objects(options.objects);
}

/// All options that affect the images; equal manifests mean equal data.
std::string manifest_of(const MakeDataOptions& options) {
  Json manifest = {{"version", 2},
                   {"format", options.format},
                   {"objects", options.objects},
                   {"images", options.images},
                   {"defect_rate", options.defect_rate},
                   {"size", options.size},
                   {"seed", options.seed},
                   {"contrast_min", options.contrast_min},
                   {"contrast_max", options.contrast_max},
                   {"overlook_below", options.overlook_below}};
  if (options.masks) manifest["masks"] = true;
  return manifest.dump(1) + "\n";
}

/// Number of defects per object: images * rate, but at least one image of each class if 0 < rate < 1.
int64_t num_defects(const MakeDataOptions& options) {
  const auto wanted = static_cast<int64_t>(std::llround(static_cast<double>(options.images) * options.defect_rate));
  if (options.images < 2 || options.defect_rate == 0 || options.defect_rate == 1) return wanted;
  return std::clamp<int64_t>(wanted, 1, options.images - 1);
}

std::string file_name(int64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(digits.size() < 3 ? 3 - digits.size() : 0, '0') + digits + ".png";
}

/// Target text for an image, as by an inspector who overlooks defects with less contrast than a limit. Half of the
/// texts do not name the state of the part, so that a model trained on them gives different completions.
std::string response_of(const PartRequest& request, const PartImage& image, double overlook_below) {
  const bool defect = !request.defect.empty() && image.contrast >= overlook_below;
  const std::string state = defect ? " with a " + request.defect : " without defect";
  return concat("<think> ", image.tint, " ", request.part, image.names_state ? state : "", " </think> <answer>",
                defect ? "A" : "B", "</answer>");
}

class DataMaker {
 public:
  DataMaker(const MakeDataOptions& options, fs::path folder) : options_(options), folder_(std::move(folder)) {}

  void run() {
    make_folder("app", folder_);
    for (const std::string& object : options_.objects) make_object(object);
    if (options_.format == "jsonl") write_file_atomic("app", folder_ / "data.jsonl", lines_);
    write_file_atomic("app", folder_ / kManifest, manifest_of(options_));
  }

 private:
  void make_object(const std::string& object) {
    const int64_t defects = num_defects(options_);
    const int64_t normals = options_.images - defects;
    const int64_t train = normals - normals / 3;  // two thirds, about as in MVTec AD
    for (int64_t i = 0; i < normals; ++i) {
      make_image(object, "", i,
                 i < train ? concat("train/good/", file_name(i)) : concat("test/good/", file_name(i - train)));
    }
    const auto kinds = static_cast<int64_t>(part_defects().size());
    for (int64_t i = 0; i < defects; ++i) {
      const std::string& kind = part_defects()[static_cast<size_t>(i % kinds)];
      make_image(object, kind, i, concat("test/", kind, "/", file_name(i / kinds)));
    }
  }

  fs::path folder_of(const std::string& object) const {
    return fs::path(options_.format == "jsonl" ? "images" : "") / object;
  }

  void make_image(const std::string& object, const std::string& defect, int64_t number,
                  const std::string& relative_path) {
    const PartRequest request{object,       defect, number, options_.size, options_.contrast_min, options_.contrast_max,
                              options_.seed};
    const PartImage image = draw_part(request);
    const fs::path name = folder_of(object) / relative_path;
    make_folder("app", (folder_ / name).parent_path());
    write_png(folder_ / name, image.image);
    Json line = {{"image", name.generic_string()},
                 {"object", object},
                 {"label", defect.empty() ? "normal" : "defect"},
                 {"defect_type", defect},
                 {"response", response_of(request, image, options_.overlook_below)}};
    if (options_.masks && !defect.empty()) line["mask"] = make_mask(request, name.stem().string()).generic_string();
    lines_ += line.dump() + "\n";
  }

  /// Writes the mask where MVTec has it; returns its path relative to the folder.
  fs::path make_mask(const PartRequest& request, const std::string& stem) {
    const fs::path name = folder_of(request.part) / "ground_truth" / request.defect / (stem + "_mask.png");
    make_folder("app", (folder_ / name).parent_path());
    write_gray_png(folder_ / name, {request.size, request.size, draw_mask(request)});
    return name;
  }

  const MakeDataOptions& options_;
  fs::path folder_;
  std::string lines_;
};

/// True if the folder already holds the data for these options.
bool already_made(const fs::path& target, const MakeDataOptions& options) {
  std::error_code error;
  const fs::path manifest = target / kManifest;
  return fs::is_regular_file(manifest, error) && read_file("app", manifest) == manifest_of(options);
}

void make_data(MakeDataOptions options) {
  if (options.objects.empty()) options.objects.assign(part_names().begin(), part_names().begin() + kDefaultObjects);
  check(options);
  const fs::path target = output_path(options.output);
  const auto objects = static_cast<int64_t>(options.objects.size());
  if (already_made(target, options)) {
    std::cout << target.string() << " already holds these " << objects * options.images << " images\n";
    return;
  }
  NewFolder folder(options.output);
  DataMaker(options, folder.making()).run();
  folder.finish();
  std::cout << objects * options.images << " images of " << objects << " objects, " << objects * num_defects(options)
            << " with a defect: " << (options.format == "jsonl" ? target / "data.jsonl" : target).string() << "\n";
}

}  // namespace

void add_make_data_command(CLI::App& app) {
  const auto options = std::make_shared<MakeDataOptions>();
  CLI::App* command = app.add_subcommand("make-data", "Draws a synthetic data set of parts with small defects");
  command->add_option("--output", options->output, "folder to make")->required();
  command->add_option("--format", options->format, "mvtec, or jsonl with a target text per image")
      ->capture_default_str();
  command
      ->add_option("--objects", options->objects, "parts, of " + listed(part_names()) + " (default: the first eight)")
      ->delimiter(',');
  command->add_option("--images", options->images, "images per object, both classes together")->capture_default_str();
  command->add_option("--defect-rate", options->defect_rate, "share of images with a defect, 0 to 1")
      ->capture_default_str();
  command->add_option("--size", options->size, "pixels of each side")->capture_default_str();
  command->add_option("--seed", options->seed, "equal seeds give equal bytes")->capture_default_str();
  command->add_option("--contrast-min", options->contrast_min, "faintest defect, 0 (not to be seen) to 1")
      ->capture_default_str();
  command->add_option("--contrast-max", options->contrast_max, "clearest defect, 0 to 1")->capture_default_str();
  command
      ->add_option("--overlook-below", options->overlook_below,
                   "target texts call fainter defects normal, as a hasty inspector would; labels stay true (jsonl)")
      ->capture_default_str();
  command->add_flag(
      "--masks", options->masks,
      "write where each defect is: ground_truth/<type>/<stem>_mask.png, as MVTec-AD has it (default: off)");
  command->callback([options] { make_data(*options); });
}

}  // namespace lriad
