#include "lriad/eval/report.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>

#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/data/references.h"
#include "lriad/vision/write_png.h"
#include "report_page.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kThumbnailSide = 400;

/// Relative to the page where that is possible, so that results and data can move together.
std::string link_to(const fs::path& folder, const fs::path& file) {
  std::error_code error;
  const fs::path relative = fs::proximate(file, fs::absolute(folder), error);
  if (!error && relative.is_relative()) return url_path(relative.generic_string());
  return "file://" + url_path(fs::absolute(file).generic_string());
}

/// A name for the thumbnail of a file as it is now.
std::string thumbnail_name(const fs::path& file) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  const auto changed = fs::last_write_time(file, error).time_since_epoch().count();
  return sha256_hex(concat(fs::absolute(file).string(), '\n', size, '\n', changed)).substr(0, 16);
}

/// URL of the thumbnail of `file`, made unless an older report had it; empty if the file cannot be read.
std::string thumbnail_of(const fs::path& folder, const fs::path& file) {
  if (file.empty()) return "";
  const std::string name = "images/" + thumbnail_name(file);
  std::error_code error;
  for (const char* extension : {".jpg", ".png"}) {
    if (fs::file_size(folder / (name + extension), error) > 0 && !error) return name + extension;
  }
  Thumbnail thumbnail;
  try {
    thumbnail = make_thumbnail(file, kThumbnailSide);
  } catch (const Error&) {
    return "";  // named by whoever tried to answer for it
  }
  write_file_whole("eval", folder / (name + thumbnail.extension), thumbnail.bytes);
  return name + thumbnail.extension;
}

/// Those of several files that can be read.
std::vector<std::string> thumbnails_of(const fs::path& folder, const std::vector<fs::path>& files) {
  std::vector<std::string> thumbnails;
  for (const fs::path& file : files) {
    const std::string url = thumbnail_of(folder, file);
    if (!url.empty()) thumbnails.push_back(url);
  }
  return thumbnails;
}

fs::path file_of(const std::map<std::string, fs::path>& files, const Prediction& prediction) {
  const auto found = files.find(prediction.sample_id);
  return found == files.end() ? fs::path() : found->second;
}

/// The files of all predictions, on a few threads since decoding is most of the work.
std::vector<ReportFiles> write_thumbnails(const fs::path& folder, const ReportInput& input) {
  std::vector<ReportFiles> files(input.predictions.size());
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    for (size_t i = next++; i < files.size(); i = next++) {
      try {
        const fs::path image = file_of(input.images, input.predictions[i]);
        files[i].thumbnail = thumbnail_of(folder, image);
        files[i].map = thumbnail_of(folder, file_of(input.maps, input.predictions[i]));
        if (const auto shown = input.references.find(input.predictions[i].sample_id); shown != input.references.end())
          files[i].references = thumbnails_of(folder, shown->second);
        if (!image.empty()) files[i].original = link_to(folder, image);
      } catch (...) {
        const std::lock_guard lock(mutex);
        failure = std::current_exception();
        next = files.size();
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    const unsigned count = std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
    for (unsigned i = 0; i < count; ++i) threads.emplace_back(work);
  }
  if (failure) std::rethrow_exception(failure);
  return files;
}

/// Removes what no page names any more, of older reports and of ones that were interrupted.
void remove_others(const fs::path& folder, const std::vector<ReportFiles>& files) {
  std::set<std::string> named;
  for (const ReportFiles& one : files) {
    named.insert(one.thumbnail);
    named.insert(one.map);
    named.insert(one.references.begin(), one.references.end());
  }
  std::vector<fs::path> others;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder / "images", error)) {
    if (!named.contains("images/" + entry.path().filename().string())) others.push_back(entry.path());
  }
  for (const fs::path& path : others) fs::remove(path, error);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> about_data(const DataSection& data) {
  return {{"Data", concat(data.root, ", format ", data.format, ", split ", data.split)}};
}

std::vector<std::pair<std::string, std::string>> about_prompt(const PromptSection& prompt) {
  std::vector<std::pair<std::string, std::string>> about;
  if (prompt.system) about.emplace_back("System", *prompt.system);
  about.emplace_back("Prompt", prompt.template_text);
  return about;
}

void add_images(ReportInput& report, const Dataset& dataset) {
  std::map<std::string, const Sample*> samples;
  for (const Sample& sample : dataset.samples) {
    report.images.emplace(sample.id, sample.path);
    samples.emplace(sample.id, &sample);
  }
  if (!dataset.references) return;
  for (const Prediction& p : report.predictions) {
    const auto sample = samples.find(p.sample_id);
    if (sample != samples.end())
      report.references[p.sample_id] = dataset.references->files(*sample->second, p.reference);
  }
}

void write_report(const std::filesystem::path& folder, const ReportInput& input) {
  make_folder("eval", folder / "images");
  const std::vector<ReportFiles> files = write_thumbnails(folder, input);
  write_file_atomic("eval", folder / "index.html", [&](const ByteSink& put) { write_page(input, files, put); });
  remove_others(folder, files);
}

}  // namespace lriad
