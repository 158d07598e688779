#include "lriad/run/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>

#include "core/json.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/core/host_name.h"
#include "lriad/core/log.h"
#include "lriad/run/checkpoint.h"
#include "lriad/run/tensorboard.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxEventBytes = 1ull << 34;

std::string owner_text() { return concat("process ", getpid(), " on ", host_name()); }

/// The step of a log line; null if it is no JSON object with a step. Most lines begin with the step and need no
/// parsing.
std::optional<int64_t> step_of(const std::string& line) {
  constexpr std::string_view kOpening = "{\"step\":";
  int64_t step = 0;
  if (line.starts_with(kOpening) && line.ends_with('}')) {
    const auto [end, problem] = std::from_chars(line.data() + kOpening.size(), line.data() + line.size(), step);
    if (problem == std::errc() && (*end == ',' || *end == '}')) return step;
  }
  const auto json = parse_json(line);
  if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer()) return std::nullopt;
  return json["step"].get<int64_t>();
}

void cut_file(const fs::path& path, uint64_t size) {
  std::error_code error;
  if (fs::file_size(path, error) == size && !error) return;
  if (!error) fs::resize_file(path, size, error);
  if (error) fail("run", "cannot cut ", path.string(), " to ", size, " bytes: ", error.message());
}

/// Bytes of the leading lines whose step is at most `last_step`.
uint64_t bytes_until(const fs::path& path, int64_t last_step) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail("run", "cannot read ", path.string());
  uint64_t kept = 0;
  bool cut = false;
  std::string line;
  for (int64_t number = 1; std::getline(file, line); ++number) {
    if (file.eof()) break;  // a last line without newline was cut by a crash
    const std::optional<int64_t> step = step_of(line);
    const bool keep = step && *step <= last_step;
    if (keep && cut) {
      fail("run", path.string(), ", line ", number, ": step ", *step,
           " comes after a later step or an unreadable line; ", "repair the file, or move it away to go on without it");
    }
    if (keep) kept += line.size() + 1;
    cut = cut || !keep;
  }
  if (file.bad()) fail("run", "cannot read ", path.string());
  return kept;
}

}  // namespace

void check_run_folder(const fs::path& run_dir, const std::string& resume) {
  std::error_code error;
  if (fs::exists(run_dir, error) && !fs::is_directory(run_dir, error)) {
    fail("run", "output_dir ", run_dir.string(), " is a file, expected a folder or a name that is free");
  }
  if (resume == "never" && !checkpoint_steps(run_dir).empty()) {
    fail("run", "output_dir ", run_dir.string(), " holds checkpoints of an earlier run and --resume is never; ",
         "choose another output_dir, or move them away");
  }
  if (resume != "never" && resume != "auto" && !fs::is_regular_file(fs::path(resume) / "DONE", error)) {
    fail("run", "--resume ", resume, " is no finished checkpoint (it has no file DONE), ",
         "expected auto, never or the folder of a checkpoint");
  }
}

void check_output_place(const Config& config) {
  const auto refuse = [&](const char* key, const std::string& folder) {
    fail("run", "output_dir ", config.output_dir, " is or lies in ", folder, " of ", key,
         ", whose files the run would write over; choose a folder outside");
  };
  std::error_code error;
  if (lies_in(config.output_dir, config.model.path)) refuse("model.path", config.model.path);
  if (config.model.adapter && fs::equivalent(config.output_dir, *config.model.adapter, error)) {
    refuse("model.adapter", *config.model.adapter);
  }
  const auto check_data = [&](const char* key, const std::string& root) {
    if (fs::is_directory(root, error) && lies_in(config.output_dir, root)) refuse(key, root);
  };
  check_data("data.root", config.data.root);
  if (config.eval_data) check_data("eval_data.root", config.eval_data->root);
}

RunLock::RunLock(const fs::path& run_dir) : run_dir_(run_dir) {
  const fs::path path = run_dir / ".lock";
  file_ = Descriptor(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!file_.is_open()) fail("run", "cannot write in the run folder: ", path.string(), ": ", std::strerror(errno));
  if (flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    std::array<char, 320> owner{};
    [[maybe_unused]] const ssize_t got = read(file_.get(), owner.data(), owner.size() - 1);
    if (reason == EWOULDBLOCK) {
      fail("run", "the run folder ", run_dir.string(), " is in use by ",
           owner[0] != 0 ? owner.data() : "another process", "; wait for it to end, or choose another output_dir");
    }
    log_warning(concat("[run] ", path.string(), " cannot be locked (", std::strerror(reason),
                       "): take care that no other run writes to this folder"));
  }
  const std::string owner = owner_text();
  // The text is only for another run's message, so a full disk must not end this one.
  if (ftruncate(file_.get(), 0) == 0) {
    [[maybe_unused]] const ssize_t written = pwrite(file_.get(), owner.data(), owner.size(), 0);
  }
}

void RunLock::check() const {
  struct stat own {
  }, there{};
  const bool same = fstat(file_.get(), &own) == 0 && stat((run_dir_ / ".lock").c_str(), &there) == 0 &&
                    own.st_ino == there.st_ino && own.st_dev == there.st_dev;
  if (!same) {
    fail("run", "the run folder ", run_dir_.string(),
         " has been removed or moved away; put it back, and the same command goes on from its last checkpoint");
  }
}

void remove_leftovers(const fs::path& run_dir) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(run_dir, error)) {
    const std::string name = entry.path().filename().string();
    const bool hidden_checkpoint =
        name.starts_with(".checkpoint-") && (name.ends_with(".tmp") || name.ends_with(".old"));
    const bool temporary_file = name.starts_with(".") && name.ends_with(".tmp") && entry.is_regular_file();
    if (!hidden_checkpoint && !temporary_file) continue;
    std::error_code problem;
    fs::remove_all(entry.path(), problem);
    if (problem)
      fail("run", "cannot remove ", entry.path().string(), ", left by an interrupted run: ", problem.message());
  }
}

void truncate_run_logs(const fs::path& run_dir, int64_t step) {
  for (const char* name : {"metrics.jsonl", "completions.jsonl"}) {
    const fs::path path = run_dir / name;
    if (fs::exists(path)) cut_file(path, bytes_until(path, step));
  }
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(run_dir, error)) {
    if (!entry.path().filename().string().starts_with("events.out.tfevents.")) continue;
    cut_file(entry.path(), events_until(read_file("run", entry.path(), kMaxEventBytes), step));
  }
}

}  // namespace lriad
