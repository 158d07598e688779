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

/// One line each; safe from any thread. The text is finished: no format characters are read.
void log_debug(const std::string& text);
void log_info(const std::string& text);
void log_warning(const std::string& text);
void log_error(const std::string& text);

/// A line that is redrawn in place on a terminal, below the log (progress). Log lines clear and redraw it, so
/// neither corrupts the other; does nothing where stderr is no terminal. An empty text removes the line.
void set_status_line(const std::string& text);
bool stderr_is_terminal();

/// Sends everything to the sinks (before exec, fork or exit).
void flush_log();

}  // namespace lriad
