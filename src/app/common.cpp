#include "common.h"

#include <c10/util/Exception.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <new>
#include <string>

#include "common_command_line.h"
#include "lriad/core/error.h"
#include "lriad/core/log.h"
#include "lriad/core/version.h"
#include "lriad/dist/gpus.h"

namespace lriad {
namespace {

constexpr int kDone = 0;
constexpr const char* kCommonGroup = "Common";

std::string gpu_text() {
  const GpuDriver driver = ask_gpu_driver();
  if (!driver.present) return "\nNVIDIA driver none";
  std::string text =
      concat("\nNVIDIA driver for CUDA ", driver.cuda_version / 1000, '.', driver.cuda_version % 1000 / 10);
  for (std::size_t k = 0; k < driver.cards.size(); ++k) text += concat("\nGPU ", k, ' ', driver.cards[k]);
  return driver.problem.empty() ? text : concat(text, "\nno GPU: ", driver.problem);
}

std::string version_text(const std::string& program) {
  const std::string git = git_revision();
  const std::string revision = git.empty() ? "" : concat(" (git ", git, ")");
  return concat(program, " ", kVersion, revision, "\nlibtorch ", kTorchVersion, "\nCUDA ", kCudaVersion, "\nNCCL ",
                kNcclVersion, "\nbuild type ", kBuildType, gpu_text());
}

/// Opens /dev/null for standard streams that the caller has closed, since a file opened later would take the stream's
/// number and receive log lines. Ignores SIGPIPE (a reader such as `| head` that exits) and SIGXFSZ (a limit on file
/// sizes), so that such writes fail with an error instead of ending the process.
void secure_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(stream, F_GETFD) == -1) {
      const int opened = open("/dev/null", stream == STDIN_FILENO ? O_RDONLY : O_WRONLY);
      if (opened > STDERR_FILENO) close(opened);
    }
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

void start_log(const CommonOptions& common) {
  const LogLevel level = parse_log_level(common.log_level);
  init_log(common.quiet ? std::max(level, LogLevel::kWarning) : level);
}

int complain(const std::string& text, int code) {
  set_status_line("");
  flush_log();
  std::cout.flush();
  std::fprintf(stderr, "%s\n", text.c_str());
  return code;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

int complain_of_memory(const std::string& what) {
  return complain(concat("[app] out of memory", what.empty() ? "" : ": " + what,
                         "; lower the batch size, image.max_pixels or the length of the answers"),
                  kUserExit);
}

int complain_of_bug(const std::string& what) {
  return complain(concat("[bug] ", what, "; please report this line with the command line and version ", kVersion, " ",
                         git_revision()),
                  kBugExit);
}

/// Turns the exception being handled into a message and an exit code.
int explain_exception() {
  try {
    throw;
  } catch (const Error& error) {
    return complain(error.what(), kUserExit);
  } catch (const c10::Error& error) {
    const std::string what = first_line(error.what_without_backtrace());
    return is_out_of_memory(error) ? complain_of_memory(what) : complain_of_bug(what);
  } catch (const std::bad_alloc&) {
    return complain_of_memory("");
  } catch (const std::filesystem::filesystem_error& error) {
    return complain(concat("[app] ", error.what()), kUserExit);
  } catch (const std::exception& error) {
    return complain_of_bug(first_line(error.what()));
  } catch (...) {
    return complain_of_bug("an exception of unknown type");
  }
}

/// Reports an error if standard output could not be written (a full disk), but not if its reader has exited.
int check_output(int code) {
  std::cout.flush();
  if (std::cout || code != kDone) return code;
  pollfd output = {STDOUT_FILENO, POLLOUT, 0};
  if (poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0) return code;
  return complain("[app] standard output could not be written in full; is the disk full?", kUserExit);
}

int parse_and_run(CLI::App& app, int argc, char** argv, const std::function<int()>& body) {
  try {
    app.parse(argc, argv);
    return body();
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      app.exit(error);
      return kDone;
    }
    return complain(concat("[app] ", command_line_problem(app, error), "; see ", app.get_name(), " --help"), kUserExit);
  } catch (...) {
    return explain_exception();
  }
}

}  // namespace

void add_common_options(CLI::App& app, CommonOptions& common) {
  app.formatter(help_formatter());
  app.fallthrough();  // allows `lriad-tool merge --quiet` as well as `lriad-tool --quiet merge`
  app.set_help_flag("--help,-h", "print this and exit")->group(kCommonGroup);
  app.set_version_flag(
         "--version", [&app] { return version_text(app.get_name()); }, "print the versions of program and libraries")
      ->group(kCommonGroup);
  app.add_option("--log-level", common.log_level, "debug, info, warning, error or off")
      ->capture_default_str()
      ->group(kCommonGroup);
  app.add_flag("--quiet", common.quiet, "warnings and errors only (default: off)")->group(kCommonGroup);
}

int run_program(CLI::App& app, int argc, char** argv, CommonOptions& common, const std::function<int()>& body) {
  secure_streams();
  // Commands of lriad-tool run during parsing; this callback comes before them.
  app.parse_complete_callback([&] {
    start_log(common);
    refuse_empty_values(app);
  });
  return check_output(parse_and_run(app, argc, argv, body));
}

}  // namespace lriad
