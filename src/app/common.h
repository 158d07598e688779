#pragma once

#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace lriad {

/// Options of all three programs.
struct CommonOptions {
  std::string log_level = "info";  ///< a name that parse_log_level() knows
  bool quiet = false;              ///< warnings and errors only
};

/// Declares --version (versions of the program, libtorch, CUDA and NCCL, build type), --log-level and --quiet, and sets
/// the style of --help.
void add_common_options(CLI::App& app, CommonOptions& common);

/// Parses the command line, starts the log and runs `body`, whose result is the exit code. Problems become one line
/// `[folder] …` on stderr: a bad command line, an Error or lack of memory (with what to lower) give exit code 2;
/// anything else is a bug of ours and gives 1.
int run_program(CLI::App& app, int argc, char** argv, CommonOptions& common, const std::function<int()>& body);

}  // namespace lriad
