#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace lriad {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

/// Level named by --log-level: debug | info | warning | error | off. Throws Error for another name.
LogLevel parse_log_level(const std::string& name);

/// Sets from which level on messages go to stderr. Called once per process, before anything is logged.
void init_log(LogLevel level);

/// Rank > 0 marks its lines with the rank and writes only warnings and errors to stderr.
void set_log_rank(int64_t rank);

/// Appends messages to this file too, from debug on, beginning with those logged before (the last 256). Throws Error if
/// it cannot be opened.
void set_log_file(const std::filesystem::path& file);

/// Logs one line; safe from any thread. The text is logged as it is: "{}" and "%" have no meaning in it.
void log_debug(const std::string& text);
void log_info(const std::string& text);
void log_warning(const std::string& text);
void log_error(const std::string& text);

/// Shows a line below the log that is overwritten in place (progress). Each log message erases it and writes it again
/// below itself. Does nothing where stderr is no terminal. An empty text removes the line.
void set_status_line(const std::string& text);
bool stderr_is_terminal();

/// Writes out what is buffered; needed before exec, fork or exit.
void flush_log();

}  // namespace lriad
