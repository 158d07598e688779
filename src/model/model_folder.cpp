#include "lriad/model/model_folder.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "lriad/core/error.h"
#include "lriad/core/files.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHubPrefix = "models--";

bool has(const fs::path& folder, const char* name) {
  std::error_code ignored;
  return fs::exists(folder / name, ignored);
}

/// Names of what lies in a folder, sorted.
std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

/// The last of the names that begins and ends so, numbers in their order; empty if there is none.
std::string last_with(const std::vector<std::string>& names, std::string_view begin, std::string_view end) {
  std::string last;
  for (const std::string& name : names) {
    if (name.starts_with(begin) && name.ends_with(end) && name.size() >= last.size()) last = name;
  }
  return last;
}

std::string text_of(const fs::path& file) {
  const std::string text = read_file("model", file, 1 << 12);
  return text.substr(0, text.find_last_not_of(" \r\n") + 1);
}

void require_folder(const fs::path& given, const char* option) {
  std::error_code ignored;
  if (fs::is_directory(given, ignored)) return;
  if (given.string().ends_with(".gguf"))
    fail("model", given.string(), " is a quantised GGUF file; give the folder of the unquantised model, as ", option);
  const bool exists = fs::exists(given, ignored);
  fail("model", option, ": ", given.string(), exists ? " is a file, expected a folder" : " is not a folder",
       "; a model of huggingface.co is fetched first: hf download NAME --local-dir DIR");
}

/// What the folder has in place of weights in safetensors, for an error; empty if nothing helps.
std::string weights_hint(const fs::path& folder) {
  const std::vector<std::string> names = names_in(folder);
  if (const std::string gguf = last_with(names, "", ".gguf"); !gguf.empty())
    return concat("; ", gguf, " is quantised: take the unquantised model");
  if (const std::string shard = last_with(names, "model-", ".safetensors"); !shard.empty())
    return concat("; ", shard,
                  " is a part of them, and model.safetensors.index.json, which lists the parts, is not there");
  for (const char* end : {".bin", ".pt", ".pth", ".ckpt"}) {
    if (const std::string pickle = last_with(names, "", end); !pickle.empty())
      return concat("; ", pickle, " is PyTorch's own format, which can hold programs: write it again in Python with ",
                    "from_pretrained(...).save_pretrained(DIR, safe_serialization=True)");
  }
  return "";
}

[[noreturn]] void refuse_adapter(const fs::path& folder) {
  fail("model", folder.string(), " is an adapter, not a model: give it as --adapter (model.adapter), and the model it ",
       "was trained on as --model (model.path)");
}

}  // namespace

bool has_weights(const fs::path& model_dir) {
  return has(model_dir, "model.safetensors") || has(model_dir, "model.safetensors.index.json");
}

fs::path hub_snapshot(const fs::path& given) {
  const fs::path folder = given.filename() == "snapshots" ? given.parent_path() : given;
  if (has(folder, "config.json") || !has(folder, "snapshots")) return given;
  if (has(folder, "refs/main")) {
    const fs::path named = folder / "snapshots" / text_of(folder / "refs/main");
    if (fs::is_directory(named)) return named;
    fail("model", folder.string(), ": its snapshot ", named.filename().string(),
         " is not there; fetch it again: hf download");
  }
  const std::vector<std::string> snapshots = names_in(folder / "snapshots");
  if (snapshots.size() != 1)
    fail("model", folder.string(), " has ", snapshots.size(), " snapshots and no refs/main; give the folder of one");
  return folder / "snapshots" / snapshots.front();
}

fs::path model_folder(const fs::path& given) {
  require_folder(given, "--model (model.path)");
  const fs::path folder = hub_snapshot(given);
  const bool weights = has_weights(folder);
  if (has(folder, "adapter_config.json") && !weights) refuse_adapter(folder);
  if (!has(folder, "config.json")) {
    const std::string checkpoint = last_with(names_in(folder), "checkpoint-", "");
    if (!checkpoint.empty() && has(folder / checkpoint, "adapter_config.json")) {
      fail("model", folder.string(), " is the folder of a run, not a model: give ", (folder / checkpoint).string(),
           " as --adapter (model.adapter), and the model it was trained on as --model (model.path)");
    }
    if (!checkpoint.empty() && has(folder / checkpoint, "config.json")) {
      fail("model", folder.string(),
           " is the folder of a run that has not ended; give one of its checkpoints, such as ",
           (folder / checkpoint).string());
    }
    fail("model", folder.string(), " has no config.json, expected the folder of a model as Hugging Face has it",
         weights_hint(folder));
  }
  if (!weights) fail("model", folder.string(), " has no weights in safetensors", weights_hint(folder));
  return folder;
}

fs::path adapter_folder(const fs::path& given) {
  require_folder(given, "--adapter (model.adapter)");
  const fs::path folder = hub_snapshot(given);
  if (!has(folder, "adapter_config.json")) {
    if (has(folder, "config.json"))
      fail("model", folder.string(), " is a model, not an adapter: give it as --model (model.path), without --adapter");
    const std::string checkpoint = last_with(names_in(folder), "checkpoint-", "");
    if (!checkpoint.empty()) {
      fail("model", folder.string(),
           " is the folder of a run that has not ended; give one of its checkpoints, such as ",
           (folder / checkpoint).string());
    }
    fail("model", folder.string(), " has no adapter_config.json, expected the folder of an adapter as PEFT writes it");
  }
  if (has(folder, "adapter_model.safetensors")) return folder;
  fail("model", folder.string(), " has no adapter_model.safetensors", weights_hint(folder));
}

void find_model_folders(ModelSection& section) {
  section.path = model_folder(section.path).string();
  if (section.adapter) section.adapter = adapter_folder(*section.adapter).string();
}

std::string model_name(const fs::path& model_dir) {
  const fs::path folder = (fs::absolute(model_dir).lexically_normal() / "").parent_path();
  const std::string cached = folder.parent_path().parent_path().filename().string();
  const bool in_cache = folder.parent_path().filename() == "snapshots" && cached.starts_with(kHubPrefix);
  if (!in_cache) return folder.filename().string();
  const std::string name = cached.substr(kHubPrefix.size());
  const std::size_t dashes = name.find("--");
  return dashes == std::string::npos ? name : concat(name.substr(0, dashes), '/', name.substr(dashes + 2));
}

}  // namespace lriad
