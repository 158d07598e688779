#pragma once

#include <memory>
#include <string>

namespace CLI {
class App;
class FormatterBase;
class ParseError;
}  // namespace CLI

namespace lriad {

/// Describes what is wrong with a command line, in one line without a prefix: the option or word, what was expected,
/// and for an unknown one the nearest known.
std::string command_line_problem(const CLI::App& app, const CLI::ParseError& error);

/// The style of --help: options and their types on the left, descriptions with defaults on the right, wrapped.
std::shared_ptr<CLI::FormatterBase> help_formatter();

/// Throws Error naming an option that was given an empty value, as `--adapter "$UNSET"` gives it.
void refuse_empty_values(const CLI::App& app);

}  // namespace lriad
