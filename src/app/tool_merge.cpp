#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "lriad/model/write_model.h"
#include "tool_commands.h"
#include "tool_dtype.h"
#include "tool_new_folder.h"

namespace lriad {
namespace {

struct MergeOptions {
  std::string model, adapter, output;
  std::string dtype = "bfloat16";
};

void merge(const MergeOptions& options) {
  const at::ScalarType dtype = dtype_option(options.dtype);
  NewFolder folder(options.output);
  merge_adapter(options.model, options.adapter, folder.making(), dtype);
  folder.finish();
  std::cout << "merged model, " << options.dtype << ": " << folder.target().string() << "\n";
}

}  // namespace

void add_merge_command(CLI::App& app) {
  const auto options = std::make_shared<MergeOptions>();
  CLI::App* command = app.add_subcommand("merge", "Adds an adapter to its model's weights, as PEFT's merge_and_unload");
  command->add_option("--model", options->model, "model folder")->required();
  command->add_option("--adapter", options->adapter, "PEFT adapter folder")->required();
  command->add_option("--output", options->output, "folder to make")->required();
  command->add_option("--dtype", options->dtype, "of the result: bfloat16 or float32")->capture_default_str();
  command->callback([options] { merge(*options); });
}

}  // namespace lriad
