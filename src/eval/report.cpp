#include "lriad/eval/report.h"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <mutex>
#include <system_error>
#include <thread>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/vision/write_png.h"
#include "report_page.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kThumbnailSide = 360;
constexpr int64_t kTinySide = 128;

/// Relative to the page where that is possible, so that results and data can move together.
std::string link_to(const fs::path& folder, const fs::path& file) {
  std::error_code error;
  const fs::path relative = fs::proximate(file, fs::absolute(folder), error);
  if (!error && relative.is_relative()) return url_path(relative.generic_string());
  return "file://" + url_path(fs::absolute(file).generic_string());
}

/// Not flushed to the disk one by one: the page that names the images is written last.
void write_plain(const fs::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) fail("eval", "cannot write ", path.string(), "; is the disk full, or the folder read-only?");
}

void write_thumbnail(const fs::path& folder, const fs::path& image, size_t number, GalleryCard& card) {
  Thumbnail thumbnail;
  try {
    thumbnail = make_thumbnail(image, kThumbnailSide);
  } catch (const Error&) {
    return;  // named by whoever tried to answer for it
  }
  const std::string name = concat("images/", number, thumbnail.extension);
  write_plain(folder / name, thumbnail.bytes);
  card.thumbnail = name;
  card.tiny = std::max(thumbnail.width, thumbnail.height) <= kTinySide;
}

/// Thumbnails of all cards, on a few threads since decoding is most of the work.
void write_thumbnails(const fs::path& folder, const std::vector<fs::path>& images, std::vector<GalleryCard>& cards) {
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    for (size_t i = next++; i < cards.size(); i = next++) {
      if (images[i].empty()) continue;
      try {
        write_thumbnail(folder, images[i], i, cards[i]);
      } catch (...) {
        const std::lock_guard lock(mutex);
        failure = std::current_exception();
        next = cards.size();
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    const unsigned count = std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
    for (unsigned i = 0; i < count; ++i) threads.emplace_back(work);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

void write_report(const std::filesystem::path& folder, const ReportInput& input) {
  make_folder("eval", folder);
  std::error_code error;
  fs::remove(folder / "index.html", error);
  fs::remove_all(folder / "images", error);
  make_folder("eval", folder / "images");
  std::vector<GalleryCard> cards;
  std::vector<fs::path> images;
  for (const Prediction* prediction : choose_gallery(input.predictions, input.max_gallery)) {
    const auto image = input.images.find(prediction->sample_id);
    GalleryCard card;
    card.prediction = prediction;
    images.push_back(image == input.images.end() ? fs::path() : image->second);
    if (!images.back().empty()) card.original = link_to(folder, images.back());
    cards.push_back(card);
  }
  write_thumbnails(folder, images, cards);
  write_file_atomic("eval", folder / "index.html", page_html(input, cards));
}

}  // namespace lriad
