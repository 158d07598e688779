#include "lriad/vision/image_processor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/core/log.h"
#include "support/temp_folder.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const fs::path kImages = fs::path(LRIAD_GOLDEN_DIR) / "images";

std::string sha(const Image& image) {
  return sha256_hex({reinterpret_cast<const char*>(image.rgb.data()), image.rgb.size()});
}

// Golden: scripts/golden/make_vision.py, pillow 13.0.0, torchvision 0.26.0 and transformers 5.23.0, seed 3.
TEST(Image, EveryModeDecodesAndResizesToTheBytesOfPillowAndTorchvision) {
  const auto golden = nlohmann::json::parse(read_file("test", kImages / "expected.json"));
  ASSERT_EQ(golden.size(), 42u);
  for (const auto& [name, expected] : golden.items()) {
    if (!LRIAD_READS_GIF && name.ends_with(".gif")) continue;
    const Image image = decode_image(kImages / name, ResizeBackend::kPil);
    EXPECT_EQ(image.height, expected["size"][0]) << name;
    EXPECT_EQ(image.width, expected["size"][1]) << name;
    EXPECT_EQ(image_size(kImages / name, ResizeBackend::kPil), (std::array<int64_t, 2>{image.height, image.width}))
        << name;
    EXPECT_EQ(sha(image), expected["rgb"]) << name;
    const int64_t height = expected["resize_to"][0], width = expected["resize_to"][1];
    EXPECT_EQ(sha(resize_bicubic(image, height, width, ResizeBackend::kPil)), expected["pil"]) << name;
    EXPECT_EQ(sha(resize_bicubic(image, height, width, ResizeBackend::kTorchvision)), expected["torchvision"]) << name;
  }
}

// Golden: scripts/golden/make_vision.py. Pillow takes the height first where it saves more than twice what the width
// does.
TEST(Image, EveryShapeResizesToTheBytesOfPillowAndTorchvision) {
  const auto golden = nlohmann::json::parse(read_file("test", kImages / "shapes.json"));
  for (const auto& shape : golden) {
    Image image{shape["from"][0], shape["from"][1], {}};
    const auto size = static_cast<uint32_t>(image.height * image.width * 3);
    for (uint32_t k = 0; k < size; ++k) image.rgb.push_back(static_cast<uint8_t>(k * 2654435761u >> 24));
    const int64_t height = shape["to"][0], width = shape["to"][1];
    EXPECT_EQ(sha(resize_bicubic(image, height, width, ResizeBackend::kPil)), shape["pil"])
        << shape["from"] << shape["to"];
    EXPECT_EQ(sha(resize_bicubic(image, height, width, ResizeBackend::kTorchvision)), shape["torchvision"])
        << shape["from"] << shape["to"];
  }
}

TEST(Image, TheTorchvisionBackendLeavesExifAlone) {
  EXPECT_EQ(decode_image(kImages / "turned.jpg", ResizeBackend::kTorchvision).height, 37);
  EXPECT_EQ(decode_image(kImages / "turned.jpg", ResizeBackend::kPil).height, 61);
}

TEST(Image, BadFilesAreRefusedByName) {
  const TempFolder folder;
  const std::string png = read_file("test", kImages / "rgb.png"), jpeg = read_file("test", kImages / "rgb.jpg");
  const auto refused = [&](const std::string& bytes, const char* why) {
    write_file_atomic("test", folder.path() / "bad.png", bytes);
    EXPECT_THAT([&] { decode_image(folder.path() / "bad.png", ResizeBackend::kPil); },
                ThrowsMessage<Error>(HasSubstr(why)));
  };
  refused("", "not a PNG");
  refused("plain text", "not a PNG");
  refused(png.substr(0, png.size() / 2), "cut off");
  refused(jpeg.substr(0, jpeg.size() / 2), "cut off");
  for (const char* name : {"rgb.bmp", "rgb.tif", "gray16.tif", "turned5.png", "palette.tif", "jpeg.tif", "cmyk.jpg",
                           "lossy.webp", "lossless.webp", "animated.webp", "palette.gif", "interlaced.gif"}) {
    const std::string whole = read_file("test", kImages / name);
    refused(whole.substr(0, whole.size() * 2 / 3), "bad.png");
  }
  std::string bomb = png;
  bomb.replace(16, 8, std::string("\x7F\xFF\xFF\xFF\x7F\xFF\xFF\xFF", 8));
  refused(bomb, "pixels are more");
  EXPECT_THROW(decode_image(folder.path() / "none.png", ResizeBackend::kPil), Error);
}

TEST(Image, APointerOfGitLfsIsNamedAsSuch) {
  const TempFolder folder;
  const fs::path file = folder.path() / "a.png";
  write_file_atomic("test", file, "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n");
  EXPECT_THAT([&] { decode_image(file, ResizeBackend::kPil); },
              ThrowsMessage<Error>(HasSubstr("a pointer of Git LFS")));
  EXPECT_THAT([&] { image_size(file, ResizeBackend::kPil); }, ThrowsMessage<Error>(HasSubstr("a pointer of Git LFS")));
}

TEST(Image, GrayOfSixteenBitsSaturatesOrKeepsItsHighByte) {
  const fs::path path = kImages / "gray16.png";
  const Image saturated = decode_image(path, ResizeBackend::kPil);
  const Image scaled = decode_image(path, ResizeBackend::kPil, SixteenBit::kScale);
  EXPECT_EQ(*std::ranges::max_element(saturated.rgb), 255);
  EXPECT_EQ(*std::ranges::max_element(scaled.rgb), 2) << "the largest value of the file is below 600";
}

TEST(Image, DamagedJpegDataAreDecodedAndNamed) {
  const TempFolder folder;
  std::string bytes = read_file("test", kImages / "rgb.jpg");
  bytes.replace(bytes.size() / 2, 8, std::string("\xFF\xD0\x00\xFF\xD3\x12\x34\x56", 8));
  write_file_atomic("test", folder.path() / "hurt.jpg", bytes);
  testing::internal::CaptureStderr();
  EXPECT_EQ(decode_image(folder.path() / "hurt.jpg", ResizeBackend::kPil).height, 37);
  decode_image(folder.path() / "hurt.jpg", ResizeBackend::kPil);
  flush_log();
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, HasSubstr("hurt.jpg is damaged ("));
  EXPECT_EQ(said.find("hurt.jpg"), said.rfind("hurt.jpg")) << "warned twice";
}

TEST(ImageSettings, ThatNoModelHasAreRefused) {
  const TempFolder folder;
  const auto refused = [&](const std::string& text, const char* why) {
    write_file_atomic("test", folder.path() / "preprocessor_config.json", text);
    EXPECT_THAT([&] { read_image_settings(folder.path(), {}); }, ThrowsMessage<Error>(HasSubstr(why)));
  };
  refused(R"({"image_std": [0.2, 0, 0.2]})", "image_std is [0.2,0,0.2]");
  refused(R"({"image_std": [0.2, 1e-320, 0.2]})", "expected three numbers from 1e-06");
  refused(R"({"image_mean": [0.2, 1e300, 0.2]})", "expected three numbers up to 1000");
  refused(R"({"patch_size": 18446744073709551615})", "expected a whole number from 1 to 1024");
  refused(R"({"patch_size": 1024, "merge_size": 16})", "is the least side of an image, expected at most 2048");
  refused(R"({"patch_size": 14, "patch_size": 16})", "has the key \"patch_size\" twice");
  refused("{\"size\": " + std::string(200'000, '['), "is nested deeper");
}

TEST(ImageSettings, OfProcessorConfigComeBeforeThoseOfPreprocessorConfig) {
  const TempFolder folder;
  const auto write = [&](const char* name, const char* text) { write_file_atomic("test", folder.path() / name, text); };
  const auto patch_size = [&] { return read_image_settings(folder.path(), {}).patch_size; };
  EXPECT_THAT([&] { patch_size(); }, ThrowsMessage<Error>(HasSubstr("has no preprocessor_config.json")));
  write("preprocessor_config.json", R"({"patch_size": 14})");
  write("processor_config.json", R"({"processor_class": "Qwen3VLProcessor"})");
  EXPECT_EQ(patch_size(), 14);
  write("processor_config.json", R"({"image_processor": {"patch_size": 16, "image_std": [0.5, 0.5, 0.5]}})");
  EXPECT_EQ(patch_size(), 16);
  EXPECT_EQ(read_image_settings(folder.path(), {}).std[2], 0.5);
  write("processor_config.json", R"({"image_processor": {"image_std": [0, 0.5, 0.5]}})");
  EXPECT_THAT([&] { patch_size(); },
              ThrowsMessage<Error>(HasSubstr("processor_config.json image_processor: image_std is")));
}

TEST(ImageSettings, StepsThatAreComputedOtherwiseAreRefused) {
  const TempFolder folder;
  for (const char* step : {R"("do_normalize": false)", R"("do_rescale": false)", R"("do_resize": false)",
                           R"("resample": 2)", R"("rescale_factor": 1.0)", R"("size": {"height": 448, "width": 448})",
                           R"("size": 448)", R"("image_processor_type": "CLIPImageProcessor")"}) {
    write_file_atomic("test", folder.path() / "preprocessor_config.json", concat("{", step, "}"));
    const std::string key = std::string(step).substr(1, std::string(step).find(':') - 2);
    EXPECT_THAT([&] { read_image_settings(folder.path(), {}); }, ThrowsMessage<Error>(HasSubstr(key + " is ")));
  }
  write_file_atomic("test", folder.path() / "preprocessor_config.json",
                    R"({"do_normalize": true, "resample": 3, "rescale_factor": 0.00392156862745098, "image_mean": null,
    "patch_size": null, "size": {"shortest_edge": 65536, "longest_edge": 16777216}, "crop_size": null,
    "image_processor_type": "Qwen2VLImageProcessorFast"})");
  EXPECT_EQ(read_image_settings(folder.path(), {}).patch_size, 14);
  write_file_atomic("test", folder.path() / "preprocessor_config.json", R"({"size": null, "min_pixels": 3136})");
  EXPECT_NO_THROW(read_image_settings(folder.path(), {}));
}

// Ties go to even, a ratio of 200 passes: image_processing_qwen2_vl.py.
TEST(SmartResize, FollowsPythonsRounding) {
  using Size = std::array<int64_t, 2>;
  EXPECT_EQ(smart_resize(42, 70, 28, 1, 1'000'000), (Size{56, 56}));
  EXPECT_EQ(smart_resize(98, 56, 28, 1, 1'000'000), (Size{112, 56}));
  EXPECT_EQ(smart_resize(1000, 1000, 28, 3136, 401408), (Size{616, 616}));
  EXPECT_EQ(smart_resize(10, 10, 28, 3136, 401408), (Size{56, 56}));
  EXPECT_NO_THROW(smart_resize(200, 1, 28, 3136, 401408));
  EXPECT_THAT([] { smart_resize(201, 1, 28, 3136, 401408); }, ThrowsMessage<Error>(HasSubstr("aspect ratio")));
}

TEST(Patches, StandInMergeBlockOrderWithEqualFrames) {
  Image image{56, 84, std::vector<uint8_t>(56 * 84 * 3)};
  for (std::size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<uint8_t>(i * 31 % 251);
  const ImageSettings settings;
  const Patches patches = make_patches(image, settings);
  EXPECT_EQ(patches.grid, (std::array<int64_t, 3>{1, 4, 6}));
  EXPECT_EQ(patches.tokens(), 6);
  ASSERT_EQ(patches.values.size(), 24u * 1176);
  const auto expected = [&](int64_t y, int64_t x, std::size_t c) {
    const auto byte = image.rgb[static_cast<std::size_t>((y * 84 + x) * 3) + c];
    return (static_cast<float>(byte / 255.0) - static_cast<float>(settings.mean[c])) /
           static_cast<float>(settings.std[c]);
  };
  // Patch 7 is block (0, 1), row 1, column 1 of the block: patch row 1, patch column 3.
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t frame = 0; frame < 2; ++frame) {
      const std::size_t at = 7 * 1176 + ((c * 2 + frame) * 14 + 5) * 14 + 9;
      EXPECT_NEAR(patches.values[at], expected(14 + 5, 42 + 9, c), 1e-6);
    }
  }
}

}  // namespace
}  // namespace lriad
