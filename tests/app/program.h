#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "lriad/core/files.h"
#include "support/temp_folder.h"

namespace lriad {

/// Output and exit code of a program.
struct Ended {
  int code = 0;
  std::string out, err;
};

/// Runs a program of LRIAD_BIN_DIR by the shell, without a GPU. `tail` is appended to the command: `2>&-`, `| true`.
inline Ended run_program_file(const std::string& program, const std::vector<std::string>& arguments,
                              const std::string& tail = "") {
  const TempFolder folder;
  std::string line = "CUDA_VISIBLE_DEVICES= OMP_NUM_THREADS=1 " LRIAD_BIN_DIR "/" + program;
  for (const std::string& argument : arguments) line += " '" + argument + "'";
  const std::string out = (folder.path() / "out").string(), err = (folder.path() / "err").string();
  const std::string streams = " >" + out + " 2>" + err + " </dev/null ";
  const int status = std::system((line + streams + tail).c_str());
  return {WEXITSTATUS(status), read_file("test", out), read_file("test", err)};
}

/// A program of LRIAD_BIN_DIR that runs in parallel with the test.
class Running {
 public:
  Running(const std::string& program, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), LRIAD_BIN_DIR "/" + program);
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    process_ = fork();
    if (process_ == 0) {
      setenv("CUDA_VISIBLE_DEVICES", "", 1);
      setenv("OMP_NUM_THREADS", "1", 1);
      execv(pointers[0], pointers.data());
      _exit(127);
    }
  }
  ~Running() {
    if (process_ <= 0) return;
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  void signal(int number) const { kill(process_, number); }
  pid_t id() const { return process_; }
  /// Processes that the program has started, in order.
  std::vector<pid_t> children() const {
    const std::string id = std::to_string(process_);
    std::ifstream list("/proc/" + id + "/task/" + id + "/children");
    std::vector<pid_t> found;
    for (pid_t child = 0; list >> child;) found.push_back(child);
    return found;
  }
  int wait() {
    int status = 0;
    waitpid(process_, &status, 0);
    process_ = 0;
    return WEXITSTATUS(status);
  }

 private:
  pid_t process_;
};

}  // namespace lriad
