#include "common_command_line.h"

#include <CLI/CLI.hpp>
#include <string_view>
#include <vector>

#include "config/nearest.h"
#include "lriad/core/error.h"

namespace lriad {
namespace {

/// The program and the commands that were given.
std::vector<const CLI::App*> apps_in_use(const CLI::App& app) {
  std::vector<const CLI::App*> apps = {&app};
  for (const CLI::App* command : app.get_subcommands()) apps.push_back(command);
  return apps;
}

std::string near_option(const CLI::App& app, const std::string& name) {
  std::vector<std::string> known;
  for (const CLI::App* part : apps_in_use(app)) {
    for (const CLI::Option* option : part->get_options()) {
      for (const std::string& long_name : option->get_lnames()) known.push_back(long_name);
    }
  }
  const std::string found = nearest(name.substr(name.find_first_not_of('-')), known);
  return found.empty() ? "" : "--" + found;
}

std::string near_command(const CLI::App& app, const std::string& name) {
  std::vector<std::string> known;
  for (const CLI::App* command : app.get_subcommands(nullptr)) known.push_back(command->get_name());
  return nearest(name, known);
}

std::string unknown_word(const CLI::App& app, std::string word) {
  const bool option = word.size() > 1 && word[0] == '-' && word.find_first_not_of('-') != std::string::npos;
  if (option) word = word.substr(0, word.find('='));
  const bool command = !option && !app.get_subcommands(nullptr).empty() && app.get_subcommands().empty();
  const std::string near = option ? near_option(app, word) : command ? near_command(app, word) : "";
  const char* what = option ? "unknown option " : command ? "unknown command " : "unexpected word ";
  return concat(what, word, near.empty() ? "" : ", the nearest known is " + near);
}

std::string expectation(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  if (type == "FLOAT") return "a number";
  if (type == "INT") return "a whole number";
  if (type == "UINT") return "a whole number of 0 or more";
  return type.empty() ? "no value" : type;
}

/// The option whose name comes before `after` in the message; null if there is none.
const CLI::Option* option_named(const CLI::App& app, std::string_view message, std::string_view after) {
  for (const CLI::App* part : apps_in_use(app)) {
    for (const CLI::Option* option : part->get_options()) {
      if (message.find(option->get_name() + std::string(after)) != std::string_view::npos) return option;
    }
  }
  return nullptr;
}

std::string bad_value(const CLI::App& app, const std::string& message) {
  const CLI::Option* option = option_named(app, message, " = ");
  if (option == nullptr) return message;
  return concat(option->get_name(), " is ", CLI::detail::join(option->results(), " "), ", expected ",
                expectation(*option));
}

std::string bad_count(const CLI::App& app, const std::string& message) {
  const CLI::Option* option = option_named(app, message, ":");
  if (option == nullptr) return message;
  if (message.find("missing") != std::string::npos || option->count() == 0) {
    return concat(option->get_name(), " needs a value");
  }
  return concat(option->get_name(), " is given ", option->count(), " times, expected once");
}

}  // namespace

void refuse_empty_values(const CLI::App& app) {
  for (const CLI::App* part : apps_in_use(app)) {
    for (const CLI::Option* option : part->get_options()) {
      for (const std::string& value : option->results()) {
        if (!value.empty() || option->get_items_expected_max() == 0) continue;
        fail("app", option->get_name(), " is empty, expected a value; is a variable of the shell not set?");
      }
    }
  }
}

std::string command_line_problem(const CLI::App& app, const CLI::ParseError& error) {
  const std::string message = error.what();
  const std::vector<std::string> extras = app.remaining(/*recurse=*/true);
  const bool required = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr;
  const bool unknown = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
  if ((unknown || required) && !extras.empty()) return unknown_word(app, extras[0]);
  if (dynamic_cast<const CLI::ConversionError*>(&error) != nullptr) return bad_value(app, message);
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) return bad_count(app, message);
  if (required) {
    for (const CLI::App* part : apps_in_use(app)) {
      for (const CLI::Option* option : part->get_options()) {
        if (option->get_required() && option->count() == 0) return concat(option->get_name(), " is missing");
      }
    }
  }
  return message;
}

}  // namespace lriad
