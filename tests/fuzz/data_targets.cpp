// Targets without torch: readers of configs, data sets, tokenizers and images.
#include "core/json.h"
#include "fuzz.h"
#include "lriad/config/load_config.h"
#include "lriad/config/model_settings.h"
#include "lriad/core/files.h"
#include "lriad/data/csv.h"
#include "lriad/data/dataset.h"
#include "lriad/text/chat_prompt.h"
#include "lriad/text/tokenizer.h"
#include "lriad/vision/write_png.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

bool lies_in_folder(const fs::path& path) {
  static const std::string folder = fs::canonical(fuzz_folder()).string() + "/";
  return (fs::weakly_canonical(path).string() + "/").starts_with(folder);
}

void json(const std::string& input) {
  const nlohmann::json value = parse_json(input);
  fuzz_check(value.is_discarded() == parse_json<nlohmann::ordered_json>(input).is_discarded());
  if (!value.is_discarded()) fuzz_check(parse_json(value.dump()) == value);
}

void csv(const std::string& input) {
  fuzz_refusable([&] { fuzz_check(parse_csv(input, "a.csv").rows.size() <= input.size()); });
}

/// A config that is accepted must read back equal after printing.
void config(const std::string& input) {
  static const FuzzFile file("config.yaml"), again("again.yaml");
  ConfigInput read;
  read.files = {file.set(input)};
  fuzz_refusable([&] {
    const LoadedConfig loaded = load_config(read);
    read.files = {again.set(print_config(loaded))};
    fuzz_check(canonical_config(load_config(read).config) == canonical_config(loaded.config));
  });
}

void image_path(const std::string& input) {
  static const bool once = [] {
    const FuzzFile image("inside/a.png");
    fs::create_directory_symlink("/", fuzz_folder() / "out");
    fs::create_directory_symlink("inside", fuzz_folder() / "in");
    return true;
  }();
  fuzz_check(once && (!stays_inside(fuzz_folder(), input) || lies_in_folder(fuzz_folder() / input)));
}

void jsonl(const std::string& input) {
  static const FuzzFile file("data.jsonl"), image("a.png");
  DataSection section;
  section.format = "jsonl";
  section.root = file.set(input).string();
  section.follow_links = false;
  fuzz_refusable([&] {
    for (const Sample& sample : read_dataset(section).samples) fuzz_check(lies_in_folder(sample.path));
  });
}

/// Uses the input as the table of a split and as image_anno.csv of an object.
void visa(const std::string& input) {
  static const FuzzFile table("split_csv/1cls.csv"), notes("nut/image_anno.csv");
  static const FuzzFile normal("nut/Data/Images/Normal/0.JPG"), defect("nut/Data/Images/Anomaly/1.JPG");
  DataSection section;
  section.format = "visa";
  section.root = fuzz_folder().string();
  table.set(input);
  notes.set(input);
  fuzz_refusable([&] { fuzz_check(read_dataset(section).samples.size() == 2); });
  section.split = "test";
  fuzz_refusable([&] { fuzz_check(read_dataset(section).samples.size() <= 2); });
}

/// Loads the folder's tokenizer, which must encode and decode any text.
void try_tokenizer(const std::string& text) {
  fuzz_refusable([&] {
    const Tokenizer tokenizer = Tokenizer::load(fuzz_folder());
    const auto ids = tokenizer.encode(text.substr(0, 500));
    for (const int64_t id : ids) fuzz_check(id >= 0 && id < tokenizer.size());
    tokenizer.decode(ids, /*skip_special=*/false);
  });
}

void tokenizer_json(const std::string& input) {
  static const FuzzFile file("tokenizer.json");
  file.set(input);
  try_tokenizer(input);
}

/// Uses the input as tokenizer_config.json, then as added_tokens.json, beside a tokenizer of 256 bytes.
void tokenizer_config(const std::string& input) {
  static const FuzzFile whole("tokenizer.json",
                              read_file("fuzz", LRIAD_GOLDEN_DIR "/../fuzz/seeds/tokenizer_json/small.json"));
  static const FuzzFile config("tokenizer_config.json"), added("added_tokens.json", "{}");
  config.set(input);
  try_tokenizer(input);
  config.set("{}");
  added.set(input);
  try_tokenizer(input);
  added.set("{}");
}

/// Splits the input at zero bytes into vocab.json, merges.txt, tokenizer_config.json and added_tokens.json.
void vocab_merges(const std::string& input) {
  static const FuzzFile files[] = {FuzzFile("vocab.json"), FuzzFile("merges.txt"), FuzzFile("tokenizer_config.json"),
                                   FuzzFile("added_tokens.json")};
  std::string_view rest = input;
  for (const FuzzFile& file : files) {
    const std::string_view part = rest.substr(0, rest.find('\0'));
    file.set(std::string(part));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
  }
  try_tokenizer(input);
}

void sentencepiece(const std::string& input) {
  static const FuzzFile file("tokenizer.model");
  file.set(input);
  try_tokenizer("a <0x41> \xE2\x96\x81 b\n\xC3\xA4");
}

void chat_template_files(const std::string& input) {
  static const FuzzFile json("json/tokenizer_config.json"), jinja("jinja/chat_template.jinja");
  json.set(input);
  jinja.set(input);
  for (const FuzzFile* file : {&json, &jinja}) fuzz_refusable([&] { check_chat_template(file->path().parent_path()); });
}

/// Skips images above a megapixel, which would take long; a unit test covers the pixel limit.
void image(const std::string& input) {
  static const FuzzFile file("image");
  file.set(input);
  for (const ResizeBackend backend : {ResizeBackend::kPil, ResizeBackend::kTorchvision}) {
    fuzz_refusable([&] {
      const auto [height, width] = image_size(file.path(), backend);
      if (height * width > 1 << 20) return;
      const Image image = decode_image(file.path(), backend);
      fuzz_check(image.height == height && image.width == width);
      fuzz_check(image.rgb.size() == static_cast<std::size_t>(height * width * 3));
    });
  }
}

void image_settings(const std::string& input) {
  static const FuzzFile file("preprocessor_config.json");
  file.set(input);
  fuzz_refusable([&] {
    const ImageSettings settings = read_image_settings(fuzz_folder(), ImageSection());
    const int64_t factor = settings.patch_size * settings.merge_size;
    const auto [height, width] = smart_resize(40, 30, factor, settings.min_pixels, settings.max_pixels);
    fuzz_check(height % factor == 0 && width % factor == 0 && height * width <= 2048 * 2048);
  });
}

/// Uses the input as processor_config.json, for image settings and chat template, with an older file beside it.
void processor_config(const std::string& input) {
  static const FuzzFile file("processor_config.json"), old("preprocessor_config.json", "{}");
  file.set(input);
  fuzz_refusable([&] {
    const ImageSettings settings = read_image_settings(fuzz_folder(), ImageSection());
    fuzz_check(settings.patch_size > 0 && settings.patch_size * settings.merge_size <= 2048);
    for (const double std : settings.std) fuzz_check(std > 0);
  });
  fuzz_refusable([] { check_chat_template(fuzz_folder()); });
}

/// Settings that are accepted must read back equal after writing.
void model_settings(const std::string& input) {
  static const FuzzFile file(kModelSettingsFile);
  static const fs::path again = fuzz_folder() / "again";
  fs::create_directories(again);
  file.set(input);
  fuzz_refusable([&] {
    const auto settings = read_model_settings(fuzz_folder());
    write_model_settings(again, *settings);
    const auto same = read_model_settings(again);
    fuzz_check(same->image.max_pixels == settings->image.max_pixels && same->threshold == settings->threshold);
    fuzz_check(same->object_names.size() == settings->object_names.size());
  });
}

constexpr FuzzTarget kTargets[] = {{"json", json},
                                   {"csv", csv},
                                   {"config", config},
                                   {"image_path", image_path},
                                   {"jsonl", jsonl},
                                   {"visa", visa},
                                   {"tokenizer_json", tokenizer_json},
                                   {"tokenizer_config", tokenizer_config},
                                   {"vocab_merges", vocab_merges},
                                   {"sentencepiece", sentencepiece},
                                   {"chat_template", chat_template_files},
                                   {"image", image},
                                   {"image_settings", image_settings},
                                   {"processor_config", processor_config},
                                   {"model_settings", model_settings}};

}  // namespace

std::span<const FuzzTarget> fuzz_targets() { return kTargets; }

}  // namespace lriad
