#pragma once

#include <string>
#include <string_view>

namespace lriad {

/// The text as a YAML scalar on one line: plain where no reader (YAML 1.1 or 1.2) can mistake it, else in double
/// quotes.
std::string yaml_scalar(std::string_view text);

/// The shortest decimal that reads back to the same double, with a point, so that YAML 1.1 readers see a number too.
std::string yaml_number(double value);

/// True if the text reads back exactly from a literal block (`|-`) and has more than one line.
bool fits_block(std::string_view text);

/// The lines of a literal block, each indented by `indent` spaces and ended with a newline.
std::string yaml_block(std::string_view text, std::size_t indent);

}  // namespace lriad
