#include <CLI/CLI.hpp>
#include <memory>
#include <sstream>
#include <string>

#include "common_command_line.h"

namespace lriad {
namespace {

constexpr std::size_t kNameColumn = 34;
constexpr std::size_t kTextColumn = 76;

/// Breaks a text at spaces into lines of at most `width` characters.
std::string wrap(const std::string& text, std::size_t width) {
  std::istringstream words(text);
  std::string wrapped, word;
  std::size_t column = 0;
  while (words >> word) {
    const bool fits = column == 0 || column + 1 + word.size() <= width;
    if (!wrapped.empty()) wrapped += fits ? ' ' : '\n';
    column = fits && column > 0 ? column + 1 + word.size() : word.size();
    wrapped += word;
  }
  return wrapped;
}

class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(kNameColumn); }

  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_type_size() == 0 || option->get_type_name().empty()) return "";
    const bool many = option->get_expected_max() == CLI::detail::expected_max_vector_size;
    return " " + option->get_type_name() + (many ? " ..." : "");
  }

  std::string make_option_desc(const CLI::Option* option) const override {
    std::string text = option->get_description();
    if (option->get_required()) text += " (required)";
    if (!option->get_default_str().empty()) text += " (default: " + option->get_default_str() + ")";
    return wrap(text, kTextColumn);
  }

  std::string make_subcommand(const CLI::App* command) const override {
    std::stringstream out;
    CLI::detail::format_help(out, command->get_name(), wrap(command->get_description(), kTextColumn), kNameColumn);
    return out.str();
  }
};

}  // namespace

std::shared_ptr<CLI::FormatterBase> help_formatter() { return std::make_shared<HelpFormatter>(); }

}  // namespace lriad
