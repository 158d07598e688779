#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "lriad/config/data_formats.h"
#include "lriad/config/load_config.h"
#include "lriad/core/error.h"
#include "lriad/data/published_counts.h"
#include "tool_commands.h"

namespace lriad {
namespace {

using nlohmann::ordered_json;

struct DescribeDataOptions {
  std::string data, format = "mvtec", split = "all";
  bool as_json = false;
};

/// The options as load_config() takes them, so that a wrong format is refused as in a config.
DataSection section_of(const DescribeDataOptions& options) {
  ConfigInput input;
  input.use = ConfigUse::kEval;
  const auto set = [&](const char* name, const char* key, const std::string& value) {
    input.options.push_back({name, concat(key, "=", json_line(ordered_json(value)))});
  };
  set("--data", "data.root", options.data);
  set("--format", "data.format", options.format);
  set("--split", "data.split", options.split);
  return load_config(input).config.data;
}

ordered_json counts_json(const std::map<std::string, ObjectCounts>& objects) {
  ordered_json result = ordered_json::object();
  for (const auto& [name, counts] : objects) {
    ordered_json object = {{"normal", counts.normal}, {"defect", counts.defect}};
    if (counts.unlabelled > 0) object["unlabelled"] = counts.unlabelled;
    object["defect_types"] = counts.defect_types;
    result[name] = std::move(object);
  }
  return result;
}

void print_published(const PublishedCounts& published, const std::vector<std::string>& differences) {
  std::cout << "\npublished of " << published.set << " (" << published.source << ")\n";
  for (const auto& [name, counts] : published.objects) {
    std::cout << "  " << name << ": " << counts.normal << " normal, " << counts.defect << " defect\n";
  }
  std::cout << (differences.empty() ? "all counts agree\n" : "what does not agree\n");
  for (const std::string& difference : differences) std::cout << "  " << difference << "\n";
}

void describe_data(const DescribeDataOptions& options) {
  const DataSection section = section_of(options);
  const Dataset dataset = read_dataset(section);
  const auto objects = count_objects(dataset);
  const auto published = published_counts(section, objects);
  const auto differences = published ? count_differences(section, objects, *published) : std::vector<std::string>();
  if (options.as_json) {
    ordered_json report = {{"objects", counts_json(objects)}, {"left_out", dataset.left_out}, {"published", nullptr}};
    if (published) {
      report["published"] = {{"set", published->set},
                             {"source", published->source},
                             {"objects", counts_json(published->objects)},
                             {"differences", differences}};
    }
    std::cout << report.dump(1, ' ', false, ordered_json::error_handler_t::replace) << "\n";
    return;
  }
  std::cout << describe(dataset);
  if (published) print_published(*published, differences);
}

}  // namespace

void add_describe_data_command(CLI::App& app) {
  const auto options = std::make_shared<DescribeDataOptions>();
  CLI::App* command = app.add_subcommand(
      "describe-data", "Counts a data set's images by object and defect type, beside published counts");
  command->add_option("--data", options->data, "folder of the data set, or its file")->required();
  command->add_option("--format", options->format, data_format_names(", "))->capture_default_str();
  command->add_option("--split", options->split, "all, train, test or one that the format has")->capture_default_str();
  command->add_flag("--json", options->as_json, "as JSON: objects, left_out, published");
  command->callback([options] { describe_data(*options); });
}

}  // namespace lriad
