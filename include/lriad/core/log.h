#pragma once

#include <filesystem>
#include <string>

namespace lriad {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

/// Level named by --log-level: debug | info | warning | error | off. Throws Error for another name.
LogLevel parse_log_level(const std::string& name);

/// Sets where messages go: stderr from `level` on and, if `file` is not empty, appended to that file from debug on.
/// Called once per process; rank > 0 marks its lines with the rank and writes warnings and errors only to stderr.
void init_log(LogLevel level, const std::filesystem::path& file = {}, int rank = 0);

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
