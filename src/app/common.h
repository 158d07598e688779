#pragma once

#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace lriad {

/// What the three programs share.
struct CommonOptions {
  std::string log_level = "info";
  bool quiet = false;  ///< warnings and errors only
};

/// Declares --version (own version, libtorch, CUDA, NCCL, build type), --log-level and --quiet, and the style of
/// --help.
void add_common_options(CLI::App& app, CommonOptions& common);

/// Parses the command line and runs `body`, whose result is the exit code. Problems become one line `[folder] …` on
/// stderr: a bad command line or an Error exit 2; out of memory exit 2 with what to lower; anything else is a bug of
/// ours, exit 1. The log goes to stderr at the level asked for before `body` runs.
int run_program(CLI::App& app, int argc, char** argv, CommonOptions& common, const std::function<int()>& body);

}  // namespace lriad
