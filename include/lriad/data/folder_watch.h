#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace lriad {

/// The images below a folder, as read_images() finds them: absolute paths, sorted; there may be none. Throws Error if a
/// folder cannot be read.
std::vector<std::string> images_below(const std::string& folder, bool follow_links);

/// Finds the images that come into folders. A file that is still being copied is waited for: until its size and time of
/// change are the same in two looks, and, where it cannot be read, until nothing has changed for a while.
class FolderWatch {
 public:
  using Clock = std::chrono::steady_clock;

  /// An image to look at. With `last_try` it has been the same for `patience`: what cannot be read now stays so.
  struct Found {
    std::string image;  ///< absolute path
    int64_t time = 1;   ///< how often it has come: 2 if it was replaced by another once
    bool last_try = false;
  };

  /// Throws Error for a folder that is not there; later it may go and come back.
  FolderWatch(std::vector<std::string> folders, bool follow_links,
              std::chrono::milliseconds patience = std::chrono::seconds(10));

  /// An image that came `times` times before this watch began; it comes again if it changes from what it is now.
  void know(const std::string& image, int64_t times);
  /// Looks once and returns the images that are new or replaced, and complete as far as one can see from outside.
  std::vector<Found> look(Clock::time_point now = Clock::now());
  /// To be told that an image without `last_try` could not be read: it comes once more.
  void wait_for(const Found& found);

 private:
  struct File {
    uintmax_t size = 0;
    std::filesystem::file_time_type changed;
    Clock::time_point since;  ///< when this size and time were first seen
    int64_t times = 0;
    bool seen = false, done = false, tried = false;
  };
  void look_at(const std::string& image, Clock::time_point now, std::vector<Found>& found);

  std::vector<std::string> folders_;
  bool follow_links_;
  std::chrono::milliseconds patience_;
  std::map<std::string, File> files_;
  std::map<std::string, std::string> problems_;  ///< of folders, as they were last said
};

}  // namespace lriad
