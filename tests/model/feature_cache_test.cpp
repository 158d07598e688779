#include "lriad/model/feature_cache.h"

#include <gtest/gtest.h>

#include <fstream>

#include "lriad/core/files.h"
#include "lriad/model/image_features.h"
#include "support/temp_folder.h"
#include "support/tiny_model.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

/// An image of 4 x 4 patches of tiny_config() with seeded values.
Patches some_image(uint64_t seed) {
  at::Generator generator = seeded(seed);
  const at::Tensor values = normal({16, tiny_config().vision.patch_dim()}, generator).to(at::kFloat);
  Patches image;
  image.grid = {1, 4, 4};
  image.values.assign(values.data_ptr<float>(), values.data_ptr<float>() + values.numel());
  return image;
}

class FeatureCacheTest : public ::testing::Test {
 protected:
  VisionCacheSection on_disk(int64_t memory_mb = 0) const { return {memory_mb, 1, folder_.path().string()}; }
  at::Tensor fresh(const Patches& image) {
    const at::NoGradGuard no_grad;
    return image_features(model_, {&image}).front();
  }
  /// What a cache gives for an image and how many images passed the tower for it.
  std::pair<at::Tensor, int64_t> take(FeatureCache& cache, const Patches& image) {
    const int64_t before = model_->counts().images;
    const at::Tensor features = cache.features(image);
    return {features, model_->counts().images - before};
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> result;
    for (const auto& entry : fs::directory_iterator(folder_.path())) result.push_back(entry.path());
    return result;
  }

  TempFolder folder_;
  Qwen2Vl model_ = tiny_model(tiny_config(), 5);
};

TEST_F(FeatureCacheTest, GivesTheRowsOfTheTowerBitForBitFromMemoryAndFromDisk) {
  const Patches one = some_image(1), two = some_image(2);
  const at::Tensor expected = fresh(one);
  for (const VisionCacheSection& section : {VisionCacheSection{1, 0, {}}, on_disk(), on_disk(1)}) {
    FeatureCache cache(section, model_);
    EXPECT_TRUE(at::equal(cache.features(one), expected));
    EXPECT_FALSE(at::equal(cache.features(two), expected));
    const auto [again, images] = take(cache, one);
    EXPECT_TRUE(at::equal(again, expected));
    EXPECT_EQ(images, 0);
  }
  FeatureCache later(on_disk(), model_);
  const auto [kept, images] = take(later, one);
  EXPECT_TRUE(at::equal(kept, expected));
  EXPECT_EQ(images, 0);
  EXPECT_EQ(files().size(), 2u);
}

TEST_F(FeatureCacheTest, SeveralImagesGiveOnTheCpuTheBitsOfEachAlone) {
  const Patches one = some_image(1), two = some_image(2);
  for (const VisionCacheSection& section : {VisionCacheSection{0, 0, {}}, VisionCacheSection{1, 0, {}}}) {
    FeatureCache cache(section, model_);
    const std::vector<at::Tensor> all = cache.features({&one, &two, &one});
    ASSERT_EQ(all.size(), 3u);
    EXPECT_TRUE(at::equal(all[0], fresh(one)));
    EXPECT_TRUE(at::equal(all[1], fresh(two)));
    EXPECT_TRUE(at::equal(all[2], fresh(one)));
  }
}

TEST_F(FeatureCacheTest, ADamagedFileIsComputedAnewAndMended) {
  const Patches image = some_image(1);
  const at::Tensor expected = fresh(image);
  FeatureCache(on_disk(), model_).features(image);
  ASSERT_EQ(files().size(), 1u);
  const fs::path path = files().front();
  const std::string whole = read_file("test", path);
  std::string flipped = whole;
  flipped[flipped.size() - 3] ^= 1;
  for (const std::string& bytes : {flipped, whole.substr(0, whole.size() / 2), std::string(), std::string("{}")}) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    FeatureCache cache(on_disk(), model_);
    const auto [features, images] = take(cache, image);
    EXPECT_TRUE(at::equal(features, expected));
    EXPECT_EQ(images, 1);
    EXPECT_EQ(read_file("test", path), whole);
  }
}

TEST_F(FeatureCacheTest, AnotherTowerFindsNothingOfThisOne) {
  const Patches image = some_image(1);
  FeatureCache(on_disk(), model_).features(image);
  model_ = tiny_model(tiny_config(), 6);
  FeatureCache cache(on_disk(), model_);
  const auto [features, images] = take(cache, image);
  EXPECT_EQ(images, 1);
  EXPECT_TRUE(at::equal(features, fresh(image)));
}

TEST_F(FeatureCacheTest, TheLongestUnusedLeaveFirst) {
  const auto bytes = static_cast<int64_t>(fresh(some_image(0)).nbytes());
  const int64_t room = (1 << 20) / bytes;
  FeatureCache cache({1, 0, {}}, model_);
  for (int64_t k = 0; k < room; ++k) cache.features(some_image(static_cast<uint64_t>(k)));
  EXPECT_EQ(take(cache, some_image(0)).second, 0);
  cache.features(some_image(100000));  // pushes out number 1, now the longest unused
  EXPECT_EQ(take(cache, some_image(0)).second, 0);
  EXPECT_EQ(take(cache, some_image(1)).second, 1);
}

TEST_F(FeatureCacheTest, TheFolderStaysWithinItsBound) {
  FeatureCache cache(on_disk(), model_);
  for (uint64_t k = 0; k < 1000; ++k) cache.features(some_image(k));
  int64_t held = 0;
  for (const fs::path& path : files()) held += static_cast<int64_t>(fs::file_size(path));
  EXPECT_LE(held, 1 << 20);
  EXPECT_GT(held, (1 << 20) * 3 / 4);
}

}  // namespace
}  // namespace lriad
