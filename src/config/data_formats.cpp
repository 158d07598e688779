#include "lriad/config/data_formats.h"

#include "lriad/core/error.h"

namespace lriad {

const std::vector<DataFormat>& data_formats() {
#define LRIAD_DATA_FORMAT_ROW(name, has_responses, layout) {#name, has_responses, layout},
  static const std::vector<DataFormat> rows = {LRIAD_DATA_FORMATS(LRIAD_DATA_FORMAT_ROW)};
#undef LRIAD_DATA_FORMAT_ROW
  return rows;
}

std::string data_format_names(const std::string& between) {
  std::string names;
  for (const DataFormat& format : data_formats()) names += (names.empty() ? "" : between) + format.name;
  return names;
}

const DataFormat& data_format(const std::string& name) {
  for (const DataFormat& format : data_formats()) {
    if (format.name == name) return format;
  }
  fail("config", "data.format is ", name, ", expected one of ", data_format_names(", "));
}

}  // namespace lriad
