#include "lriad/data/folder_watch.h"

#include <system_error>
#include <utility>

#include "lriad/core/error.h"
#include "lriad/core/log.h"

namespace lriad {

namespace fs = std::filesystem;

FolderWatch::FolderWatch(std::vector<std::string> folders, bool follow_links, std::chrono::milliseconds patience)
    : folders_(std::move(folders)), follow_links_(follow_links), patience_(patience) {
  for (const std::string& folder : folders_) {
    if (!fs::is_directory(folder)) fail("data", folder, " is not a folder, so there is nothing to watch");
  }
}

void FolderWatch::know(const std::string& image, int64_t times) {
  File& file = files_[image];
  file.times = times;
  file.done = true;
}

std::vector<FolderWatch::Found> FolderWatch::look(Clock::time_point now) {
  std::vector<Found> found;
  for (const std::string& folder : folders_) {
    std::string problem;
    try {
      for (const std::string& image : images_below(folder, follow_links_)) look_at(image, now, found);
    } catch (const Error& error) {
      problem = error.what();
    } catch (const fs::filesystem_error& error) {
      problem = error.what();  // a folder went while it was read
    }
    if (!problem.empty() && problem != problems_[folder]) log_warning(concat(problem, "; looking again"));
    problems_[folder] = problem;
  }
  return found;
}

void FolderWatch::look_at(const std::string& image, Clock::time_point now, std::vector<Found>& found) {
  std::error_code error;
  const uintmax_t size = fs::file_size(image, error);
  if (error) return;
  const fs::file_time_type changed = fs::last_write_time(image, error);
  if (error) return;
  File& file = files_[image];
  if (!file.seen || size != file.size || changed != file.changed) {
    const bool known = file.done && !file.seen;
    file = {size, changed, now, file.times, /*seen=*/true, /*done=*/known, /*tried=*/false};
    return;
  }
  const bool last_try = now - file.since >= patience_;
  if (file.done || (file.tried && !last_try)) return;
  file.done = true;
  found.push_back({image, ++file.times, last_try});
}

void FolderWatch::wait_for(const Found& found) {
  File& file = files_[found.image];
  --file.times;
  file.done = false;
  file.tried = true;
}

}  // namespace lriad
