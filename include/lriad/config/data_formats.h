#pragma once

#include <string>
#include <vector>

/// The layouts of data that are read, a row each: the word of the key data.format, whether its samples may bring target
/// texts for stage sft, and the layout in words. A row needs one function, `Listing read_<word>(const DataSection&)` of
/// src/data.
#define LRIAD_DATA_FORMATS(ROW)                                                    \
  ROW(mvtec, false, "<object>/{train,test}/<type>/<image>")                        \
  ROW(visa, false, "<object>/Data/Images/{Normal,Anomaly}/<image>")                \
  ROW(folder, false, "<object>/<class>/<image>, or <class>/<image> of one object") \
  ROW(jsonl, true, "a file with {image, object, label, ...} in each line")

namespace lriad {

/// A row of the table above.
struct DataFormat {
  std::string name;
  bool has_responses = false;
  std::string layout;
};

/// All rows, in the order of the table.
const std::vector<DataFormat>& data_formats();

/// The names joined by `between`.
std::string data_format_names(const std::string& between);

/// The row of a name that load_config() has let pass. Throws Error for any other.
const DataFormat& data_format(const std::string& name);

}  // namespace lriad
