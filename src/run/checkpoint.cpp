#include "lriad/run/checkpoint.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/json.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/core/log.h"
#include "lriad/model/safetensors.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int64_t kVersion = 1;
constexpr uint64_t kMaxTrainerBytes = 1ull << 30;
constexpr std::string_view kPrefix = "checkpoint-";
constexpr const char* kTrainerFile = "trainer_state.json";
constexpr const char* kStateFile = "state.safetensors";
constexpr const char* kDoneFile = "DONE";

fs::path folder_of(const fs::path& run_dir, int64_t step) { return run_dir / concat(kPrefix, step); }
fs::path hidden_folder(const fs::path& run_dir, int64_t step, const char* end) {
  return run_dir / concat('.', kPrefix, step, end);
}

void check(const std::error_code& error, const char* verb, const fs::path& path) {
  if (error) fail("run", "cannot ", verb, " ", path.string(), ": ", error.message());
}

void sync_file(const fs::path& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open() || (fsync(file.get()) != 0 && errno != EINVAL))
    fail("run", "cannot flush ", path.string(), ": ", std::strerror(errno));
}

std::string trainer_text(const TrainerState& state) {
  const bool has_best = state.best_metric && std::isfinite(*state.best_metric);
  const Json json = {
      {"version", kVersion},          {"global_step", state.global_step},
      {"epoch", state.epoch},         {"seed", state.seed},
      {"cursor", state.cursor},       {"best_metric", has_best ? Json(*state.best_metric) : Json(nullptr)},
      {"best_step", state.best_step}, {"extra", state.extra}};
  std::string text = json.dump(2);
  text.erase(text.rfind('\n'));
  text += ",\n  \"log_history\": [";
  for (std::size_t k = 0; k < state.log_history.size(); ++k)
    text += (k == 0 ? "\n    " : ",\n    ") + state.log_history[k];
  return text + (state.log_history.empty() ? "]\n}\n" : "\n  ]\n}\n");
}

/// Content of DONE: all files with sizes and checksums. Flushes each file to the disk.
std::string done_text(const fs::path& folder, int64_t step) {
  Json files = Json::object();
  std::vector<fs::path> paths;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths) {
    sync_file(path);
    files[path.lexically_relative(folder).generic_string()] = {{"bytes", fs::file_size(path)},
                                                               {"sha256", sha256_file("run", path)}};
  }
  return Json{{"version", kVersion}, {"step", step}, {"files", files}}.dump(2) + "\n";
}

void fill(const fs::path& folder, const CheckpointContents& contents) {
  contents.write_weights(folder);
  write_safetensors(folder / kStateFile, contents.state);
  write_file_atomic("run", folder / kTrainerFile, trainer_text(contents.trainer));
  write_file_atomic("run", folder / kDoneFile, done_text(folder, contents.trainer.global_step));
}

/// Renames a checkpoint first, so that it is never seen half deleted, then deletes its files.
void remove_checkpoint(const fs::path& run_dir, int64_t step) {
  const fs::path old = hidden_folder(run_dir, step, ".old");
  std::error_code error;
  fs::remove_all(old, error);
  fs::rename(folder_of(run_dir, step), old, error);
  check(error, "remove", folder_of(run_dir, step));
  fs::remove_all(old, error);
  check(error, "remove", old);
}

[[noreturn]] void refuse_version(const fs::path& path, int64_t version) {
  fail("run", path.string(), " has format version ", version, ", this program reads up to ", kVersion,
       "; go on with the newer program that wrote it");
}

/// checkpoint_damage() for the files that DONE lists.
std::optional<std::string> damage_of_files(const fs::path& checkpoint, const Json& files) {
  for (const char* name : {kTrainerFile, kStateFile}) {
    if (!files.contains(name)) return concat("DONE does not list ", name);
  }
  for (const auto& [name, entry] : files.items()) {
    if (!stays_inside(checkpoint, name)) return concat("DONE lists ", name, ", which is not in this folder");
    const fs::path path = checkpoint / name;
    std::error_code error;
    if (!fs::is_regular_file(path, error)) return concat(name, " is missing");
    const uint64_t size = fs::file_size(path, error);
    if (error) return concat(name, " cannot be read");
    const Json expected = entry.value("bytes", Json());
    if (expected != size) return concat(name, " has ", size, " bytes, expected ", expected.dump());
    if (sha256_file("run", path) != entry.value("sha256", ""))
      return concat(name, " has changed (its checksum differs)");
  }
  return std::nullopt;
}

fs::path explicit_checkpoint(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    fail("run", "--resume ", path.string(), " is no folder, expected auto, never or a checkpoint folder");
  }
  if (const auto damage = checkpoint_damage(path)) {
    fail("run", "checkpoint ", path.string(), " cannot be used: ", *damage,
         "; choose another one, or --resume auto for the newest whole one");
  }
  return path;
}

}  // namespace

void TrainerState::add_log(std::string json) {
  log_history.push_back(std::move(json));
  if (log_history.size() > kLogHistory) log_history.erase(log_history.begin());
}

fs::path write_checkpoint(const fs::path& run_dir, const CheckpointContents& contents) {
  const int64_t step = contents.trainer.global_step;
  const fs::path hidden = hidden_folder(run_dir, step, ".tmp"), folder = folder_of(run_dir, step);
  std::error_code error;
  fs::remove_all(hidden, error);
  try {
    make_subfolder("run", hidden);
    fill(hidden, contents);
    if (fs::exists(folder)) remove_checkpoint(run_dir, step);
    fs::rename(hidden, folder, error);
    check(error, "create", folder);
    sync_folder("run", run_dir);
  } catch (const fs::filesystem_error& problem) {
    fs::remove_all(hidden, error);
    fail("run", "cannot write checkpoint ", folder.string(), ": ", problem.code().message());
  } catch (...) {
    fs::remove_all(hidden, error);
    throw;
  }
  return folder;
}

std::optional<std::string> checkpoint_damage(const fs::path& checkpoint) {
  const fs::path done = checkpoint / kDoneFile;
  std::error_code error;
  if (!fs::is_regular_file(done, error)) return "DONE is missing: it was not finished";
  Json json;
  try {
    json = read_json_object<Json>("run", done);
  } catch (const Error& problem) {
    return problem.what();
  }
  const Json version = json.value("version", Json());
  if (!version.is_number_integer() || !json.contains("files") || !json["files"].is_object()) return "DONE is damaged";
  if (version > kVersion) refuse_version(done, whole_number(version));
  try {
    return damage_of_files(checkpoint, json["files"]);
  } catch (const nlohmann::json::exception&) {
    return "DONE is damaged";
  } catch (const Error& problem) {
    return problem.what();
  }
}

std::vector<int64_t> checkpoint_steps(const fs::path& run_dir) {
  std::vector<int64_t> steps;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(run_dir, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || !entry.is_directory(error)) continue;
    int64_t step = 0;
    const auto [end, problem] = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), step);
    if (problem == std::errc() && end == name.data() + name.size() && name == concat(kPrefix, step) && step >= 0) {
      steps.push_back(step);
    }
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::optional<fs::path> find_checkpoint(const fs::path& run_dir, const std::string& resume) {
  if (resume == "never") return std::nullopt;
  if (resume != "auto") return explicit_checkpoint(resume);
  std::vector<int64_t> steps = checkpoint_steps(run_dir);
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const fs::path folder = folder_of(run_dir, *step);
    const auto damage = checkpoint_damage(folder);
    if (!damage) return folder;
    log_warning(concat("[run] checkpoint ", folder.string(), " is damaged and left out: ", *damage));
  }
  return std::nullopt;
}

TrainerState read_trainer_state(const fs::path& checkpoint) {
  const fs::path path = checkpoint / kTrainerFile;
  const Json json = read_json_object<Json>("run", path, kMaxTrainerBytes);
  try {
    const int64_t version = whole_number(json.at("version"));
    if (version > kVersion) refuse_version(path, version);
    TrainerState state;
    state.global_step = whole_number(json.at("global_step"));
    state.epoch = json.at("epoch").get<double>();
    state.seed = static_cast<uint64_t>(whole_number(json.at("seed")));
    for (const auto& [name, count] : json.at("cursor").items()) state.cursor[name] = whole_number(count);
    if (!json.at("best_metric").is_null()) state.best_metric = json.at("best_metric").get<double>();
    state.best_step = whole_number(json.at("best_step"));
    state.extra = json.at("extra").get<std::map<std::string, std::string>>();
    for (const Json& line : json.at("log_history")) state.log_history.push_back(line.dump());
    if (state.global_step < 0)
      fail("run", path.string(), ": global_step is ", state.global_step, ", expected 0 or more");
    return state;
  } catch (const nlohmann::json::exception& error) {
    fail("run", path.string(), " cannot be read: ", error.what());
  }
}

std::map<std::string, at::Tensor> read_state(const fs::path& checkpoint) {
  const SafetensorsFile file(checkpoint / kStateFile);
  std::map<std::string, at::Tensor> state;
  for (const TensorEntry& entry : file.entries()) state[entry.name] = file.tensor(entry.name).clone();
  return state;
}

void limit_checkpoints(const fs::path& run_dir, int64_t save_total_limit, int64_t best_step) {
  std::vector<int64_t> whole;
  for (const int64_t step : checkpoint_steps(run_dir)) {
    if (fs::exists(folder_of(run_dir, step) / kDoneFile)) whole.push_back(step);
  }
  auto surplus = static_cast<int64_t>(whole.size()) - std::max<int64_t>(1, save_total_limit);
  for (const int64_t step : whole) {
    if (surplus <= 0) return;
    if (step == best_step || step == whole.back()) continue;
    remove_checkpoint(run_dir, step);
    --surplus;
  }
}

void discard_checkpoints_after(const fs::path& run_dir, int64_t step) {
  for (const int64_t later : checkpoint_steps(run_dir)) {
    if (later <= step) continue;
    log_info(concat("[run] removing ", folder_of(run_dir, later).string(), ": the run goes on from step ", step));
    remove_checkpoint(run_dir, later);
  }
}

}  // namespace lriad
