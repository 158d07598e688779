#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "lriad/eval/metrics.h"

namespace lriad {

/// Names and values of the settings of an evaluation. They are written beside its metrics and compared by --resume.
/// Values keep their JSON type; an empty optional is null.
class Settings {
 public:
  void set(const std::string& name, const std::string& value);
  void set(const std::string& name, const std::optional<std::string>& value);
  void set(const std::string& name, const char* value);
  void set(const std::string& name, const std::optional<double>& value);
  void set(const std::string& name, double value);
  void set(const std::string& name, int64_t value);
  void set(const std::string& name, bool value);

  /// One JSON object, keys sorted; `indent` < 0: on one line.
  std::string json(int indent = -1) const;

  /// Reads what json() wrote. Throws Error naming the file if it is missing or no JSON object.
  static Settings read(const std::filesystem::path& path);

  /// "temperature: 0.0 before, 1.0 now" for the first name whose values differ or that one side lacks; empty: equal.
  std::string difference(const Settings& now) const;

 private:
  std::map<std::string, std::string> values_;  ///< name -> JSON text
};

/// Writes metrics.json atomically: coverage, metrics, recall by defect type, how many answers there were of each kind
/// (images without a label included) and the settings. Undefined metrics are null.
void write_metrics(const std::filesystem::path& path, const MetricsReport& report,
                   const std::vector<Prediction>& predictions, const Settings& settings);

}  // namespace lriad
