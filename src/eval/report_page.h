#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lriad/core/files.h"
#include "lriad/eval/report.h"

namespace lriad {

/// The page of src/eval/report with {{title}} and {{data}} to be filled in.
extern const std::string_view kReportPage;

/// Text for HTML content and quoted attributes: markup characters escaped, control characters and broken UTF-8
/// replaced.
std::string html_escape(std::string_view text);

/// Path with forward slashes as a URL path: everything but letters, digits and -._~/ percent-encoded.
std::string url_path(std::string_view path);

/// Files of the report that show one prediction, as URLs relative to the page; empty: none.
struct ReportFiles {
  std::string thumbnail;
  std::string map;
  std::string original;                 ///< outside of the report
  std::vector<std::string> references;  ///< thumbnails of the prompt's reference images
};

/// Curves of a run from its metrics.jsonl as JSON: {name: [[step, value], …]}, each of at most 400 points, which are
/// means over neighbouring steps if there are more. Lines that are no JSON objects are left out, as a run may be
/// writing one.
std::string curves_json(const std::filesystem::path& metrics_log);

/// Writes the page; `files` has one entry for each prediction.
void write_page(const ReportInput& input, const std::vector<ReportFiles>& files, const ByteSink& put);

}  // namespace lriad
