#include "lriad/model/safetensors.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "lriad/core/descriptor.h"
#include "lriad/core/error.h"
#include "lriad/core/files.h"
#include "lriad/core/lfs_pointer.h"
#include "safetensors_types.h"

namespace lriad {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uint64_t kMaxHeader = 100'000'000;

json parse_header(const fs::path& path, std::string_view text) {
  if (!is_utf8(text)) fail("model", path.string(), ": InvalidHeader: the header is not UTF-8");
  std::string problem;
  json header = parse_json_object(text, problem);
  if (!header.is_object()) fail("model", path.string(), ": InvalidHeaderDeserialization: the header ", problem);
  return header;
}

TensorEntry parse_entry(const fs::path& path, const std::string& name, const json& value) {
  const auto refuse = [&](const char* what) {
    fail("model", path.string(), ": InvalidHeaderDeserialization: tensor ", name, ": ", what);
  };
  if (!value.is_object()) refuse("is no JSON object");
  const auto list = [&](const char* key) -> const json& {
    const auto found = value.find(key);
    if (found == value.end() || !found->is_array()) refuse("shape or data_offsets is missing or no list");
    for (const json& item : *found) {
      if (!item.is_number_unsigned()) refuse("a size or offset is no whole number from 0 up");
    }
    return *found;
  };
  TensorEntry entry{name, {}, {}, 0, 0};
  if (!value.contains("dtype") || !value["dtype"].is_string()) refuse("has no dtype");
  entry.dtype = value["dtype"].get<std::string>();
  if (kDtypes.at(dtype_rank(entry.dtype)).bits == 0) refuse("has an unknown dtype");
  uint64_t bits = kDtypes.at(dtype_rank(entry.dtype)).bits;
  bool overflow = false;
  for (const json& item : list("shape")) {
    const auto size = item.get<uint64_t>();
    overflow = overflow || __builtin_mul_overflow(bits, size, &bits) || size > uint64_t{1} << 62;
    entry.shape.push_back(static_cast<int64_t>(size));
  }
  if (overflow) fail("model", path.string(), ": ValidationOverflow: the shape of ", name, " is too large");
  if (bits % 8 != 0) fail("model", path.string(), ": MisalignedSlice: ", name, " does not fill whole bytes");
  const json& offsets = list("data_offsets");
  if (offsets.size() != 2) refuse("data_offsets must be [begin, end]");
  entry.begin = offsets[0].get<uint64_t>();
  entry.end = offsets[1].get<uint64_t>();
  if (entry.end < entry.begin) fail("model", path.string(), ": InvalidOffset(", name, "): it ends before it begins");
  if (entry.end - entry.begin != bits / 8) {
    fail("model", path.string(), ": TensorInvalidInfo: ", name, " has ", entry.end - entry.begin,
         " bytes, its shape needs ", bits / 8);
  }
  return entry;
}

}  // namespace

struct SafetensorsFile::Map {
  fs::path path;
  char* start = nullptr;
  uint64_t size = 0;
  uint64_t data = 0;  ///< offset of the data part
  std::vector<TensorEntry> entries;
  std::map<std::string, std::size_t> index;
  std::map<std::string, std::string> metadata;

  explicit Map(const fs::path& file);
  ~Map() {
    if (start != nullptr) ::munmap(start, size);
  }
  Map(const Map&) = delete;
  Map& operator=(const Map&) = delete;
  void read_header();
  void check_layout();
};

SafetensorsFile::Map::Map(const fs::path& file) : path(file) {
  const Descriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (!descriptor.is_open()) fail("model", "cannot read ", file.string(), ": ", std::strerror(errno));
  const bool regular = ::fstat(descriptor.get(), &info) == 0 && S_ISREG(info.st_mode);
  size = regular ? static_cast<uint64_t>(info.st_size) : 0;
  // Private and writable: a write to a shared parameter copies its page instead of reaching the file.
  void* address = size < 8
                      ? nullptr
                      : ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor.get(), 0);
  if (!regular) fail("model", file.string(), " is not a regular file");
  if (address == nullptr) fail("model", file.string(), ": HeaderTooSmall: it has ", size, " bytes");
  if (address == MAP_FAILED) fail("model", "cannot map ", file.string(), ": ", std::strerror(errno));
  start = static_cast<char*>(address);
}

void SafetensorsFile::Map::read_header() {
  refuse_lfs_pointer("model", path, std::string_view(start, size));
  uint64_t length = 0;
  std::memcpy(&length, start, sizeof length);
  if (length > kMaxHeader) fail("model", path.string(), ": HeaderTooLarge: it claims ", length, " bytes");
  if (length > size - 8) fail("model", path.string(), ": InvalidHeaderLength: ", length, " bytes in a file of ", size);
  data = 8 + length;
  const json header = parse_header(path, std::string_view(start + 8, length));
  for (const auto& [name, value] : header.items()) {
    if (name != "__metadata__") {
      entries.push_back(parse_entry(path, name, value));
      continue;
    }
    if (value.is_null()) continue;
    if (!value.is_object()) fail("model", path.string(), ": InvalidHeaderDeserialization: __metadata__ is no object");
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string())
        fail("model", path.string(), ": InvalidHeaderDeserialization: metadata ", key, " is no text");
      metadata[key] = text.get<std::string>();
    }
  }
}

void SafetensorsFile::Map::check_layout() {
  std::sort(entries.begin(), entries.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t next = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].begin != next)
      fail("model", path.string(), ": InvalidOffset(", entries[i].name, "): a gap or overlap");
    next = entries[i].end;
    index[entries[i].name] = i;
  }
  if (next != size - data) {
    fail("model", path.string(), ": MetadataIncompleteBuffer: the tensors fill ", next, " bytes, the file has ",
         size - data);
  }
}

SafetensorsFile::SafetensorsFile(const fs::path& path) {
  const auto map = std::make_shared<Map>(path);
  map->read_header();
  map->check_layout();
  map_ = map;
}

const std::vector<TensorEntry>& SafetensorsFile::entries() const { return map_->entries; }
const std::map<std::string, std::string>& SafetensorsFile::metadata() const { return map_->metadata; }
const fs::path& SafetensorsFile::path() const { return map_->path; }

const TensorEntry* SafetensorsFile::find(const std::string& name) const {
  const auto found = map_->index.find(name);
  return found == map_->index.end() ? nullptr : &map_->entries[found->second];
}

std::string_view SafetensorsFile::bytes(const TensorEntry& entry) const {
  return {map_->start + map_->data + entry.begin, entry.end - entry.begin};
}

at::Tensor SafetensorsFile::tensor(const std::string& name) const {
  const TensorEntry* entry = find(name);
  if (entry == nullptr) fail("model", path().string(), " has no tensor ", name);
  const auto type = kDtypes.at(dtype_rank(entry->dtype)).type;
  if (!type) fail("model", path().string(), ": tensor ", name, " is ", entry->dtype, ", which cannot be used here");
  const auto options = at::TensorOptions().dtype(*type);
  char* const address = map_->start + map_->data + entry->begin;
  if (reinterpret_cast<uintptr_t>(address) % c10::elementSize(*type) == 0) {
    return at::from_blob(
        address, entry->shape, [map = map_](void*) {}, options);
  }
  const at::Tensor copy = at::empty(entry->shape, options);
  std::memcpy(copy.data_ptr(), address, entry->end - entry->begin);
  return copy;
}

}  // namespace lriad
