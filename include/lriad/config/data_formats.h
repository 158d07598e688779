#pragma once

#include <string>
#include <vector>

/// The layouts of data that are read, a row each: the word of the key data.format, whether its samples may bring target
/// texts for stage sft, and the layout in words. A row needs one function, `Listing read_<word>(const DataSection&)` of
/// src/data.
#define LRIAD_DATA_FORMATS(ROW)                                                                     \
  ROW(mvtec, false, "<object>/{train,test}/<type>/<image>")                                         \
  ROW(loco, false, "MVTec LOCO AD: <object>/{train,validation,test}/<type>/<image>")                \
  ROW(mvtec_ad2, false, "MVTec AD 2: <object>/{train,validation,test_public,...}/<type>/<image>")   \
  ROW(visa, false, "<object>/Data/Images/{Normal,Anomaly}/<image>, or a copy as mvtec")             \
  ROW(btad, false, "as mvtec, types ok and ko")                                                     \
  ROW(mpdd, false, "as mvtec")                                                                      \
  ROW(dtd_synthetic, false, "as mvtec")                                                             \
  ROW(real_iad, false, "realiad_<size>/<object>/<image> and realiad_jsons/<object>.json")           \
  ROW(dagm, false, "<object>/{Train,Test}/<image>, masks of defects in Label/")                     \
  ROW(kolektor_sdd, false, "<part>/<image>, masks <image>_label.bmp beside them")                   \
  ROW(kolektor_sdd2, false, "{train,test}/<image>, masks <image>_GT.png beside them")               \
  ROW(folder, false, "<object>/<class>/<image>, or <class>/<image> of one object")                  \
  ROW(jsonl, true, "a file with {image, object, label, ...} in each line")                          \
  ROW(meta_json, false, "meta.json of train and test, or UniAD's lines {filename, clsname, label}") \
  ROW(mmad, false, "mmad.json of questions and answers on each image")                              \
  ROW(iad_r1, false, "records {image, problem, solution} of AnomalyR1, IAD-R1 and EMIT")

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
