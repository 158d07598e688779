#include "lriad/core/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/ringbuffer_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <mutex>

#include "lriad/core/error.h"

namespace lriad {
namespace {

constexpr const char* kPattern = "%H:%M:%S %l %v";

/// Writes to stderr and keeps a status line below the log: each message erases that line and writes it again.
class TerminalSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  void set_status(const std::string& text) {
    const std::lock_guard<std::mutex> lock(mutex_);
    erase();
    status_ = text;
    draw();
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    erase();
    std::fwrite(line.data(), 1, line.size(), stderr);
    draw();
  }
  void flush_() override { std::fflush(stderr); }

 private:
  void erase() {
    if (!status_.empty()) std::fputs("\r\x1b[2K", stderr);
  }
  void draw() {
    std::fputs(status_.c_str(), stderr);
    std::fflush(stderr);
  }
  std::string status_;
};

struct Logger {
  std::shared_ptr<TerminalSink> terminal = std::make_shared<TerminalSink>();
  std::shared_ptr<spdlog::sinks::ringbuffer_sink_mt> earlier = std::make_shared<spdlog::sinks::ringbuffer_sink_mt>(256);
  std::shared_ptr<spdlog::logger> logger =
      std::make_shared<spdlog::logger>("lriad", spdlog::sinks_init_list{terminal, earlier});
  Logger() {
    logger->set_pattern(kPattern);
    logger->set_level(spdlog::level::debug);
    logger->flush_on(spdlog::level::info);
    terminal->set_level(spdlog::level::info);
  }
};

Logger& global() {
  static Logger logger;
  return logger;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

void log_at(spdlog::level::level_enum level, const std::string& text) {
  global().logger->log(level, spdlog::string_view_t(text));
}

}  // namespace

LogLevel parse_log_level(const std::string& name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "info") return LogLevel::kInfo;
  if (name == "warning") return LogLevel::kWarning;
  if (name == "error") return LogLevel::kError;
  if (name == "off") return LogLevel::kOff;
  fail("core", "log level is ", name, ", must be debug, info, warning, error or off");
}

void init_log(LogLevel level) { global().terminal->set_level(to_spdlog(level)); }

void set_log_rank(int64_t rank) {
  if (rank == 0) return;
  Logger& log = global();
  log.terminal->set_level(std::max(log.terminal->level(), spdlog::level::warn));
  log.logger->set_pattern(concat("%H:%M:%S %l [rank ", rank, "] %v"));
}

void set_log_file(const std::filesystem::path& file) {
  Logger& log = global();
  std::shared_ptr<spdlog::sinks::basic_file_sink_mt> sink;
  try {
    sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string());
  } catch (const spdlog::spdlog_ex&) {
    fail("core", "cannot write the log file ", file.string(), ": check that its folder exists and is writable");
  }
  sink->set_pattern(kPattern);
  for (const auto& message : log.earlier->last_raw()) sink->log(message);
  log.logger->sinks() = {log.terminal, sink};
}

void log_debug(const std::string& text) { log_at(spdlog::level::debug, text); }
void log_info(const std::string& text) { log_at(spdlog::level::info, text); }
void log_warning(const std::string& text) { log_at(spdlog::level::warn, text); }
void log_error(const std::string& text) { log_at(spdlog::level::err, text); }

void set_status_line(const std::string& text) {
  if (stderr_is_terminal()) global().terminal->set_status(text);
}

bool stderr_is_terminal() {
  static const bool terminal = isatty(STDERR_FILENO) == 1;
  return terminal;
}

void flush_log() { global().logger->flush(); }

}  // namespace lriad
