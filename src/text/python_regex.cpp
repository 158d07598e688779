#include "lriad/text/python_regex.h"

#include <unicode/regex.h>

#include <memory>

#include "lriad/core/error.h"
#include "lriad/core/replaced.h"

namespace lriad {

bool full_match(const std::string& expression, const std::string& text) {
  UErrorCode status = U_ZERO_ERROR;
  const std::string spelled = replaced(expression, "(?P<", "(?<");
  const std::unique_ptr<icu::RegexPattern> pattern(
      icu::RegexPattern::compile(icu::UnicodeString::fromUTF8(spelled), 0, status));
  if (U_FAILURE(status)) {
    fail("text", "\"", expression, "\" cannot be read as a regular expression (", u_errorName(status), ")");
  }
  const icu::UnicodeString input = icu::UnicodeString::fromUTF8(text);
  const std::unique_ptr<icu::RegexMatcher> matcher(pattern->matcher(input, status));
  matcher->setTimeLimit(1000, status);  // units of about a millisecond: an expression may need exponentially many steps
  const bool fits = matcher->matches(status);
  if (U_FAILURE(status)) {
    fail("text", "the regular expression \"", expression, "\" cannot be matched with ", text, " (", u_errorName(status),
         ")");
  }
  return fits;
}

}  // namespace lriad
