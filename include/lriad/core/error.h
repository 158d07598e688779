#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace lriad {

/// Exit codes: a bug of ours, something the user can mend, stopped by the health guard.
inline constexpr int kBugExit = 1, kUserExit = 2, kGuardExit = 3;

/// The one exception thrown on purpose: bad config, bad input, full disk, failed device call.
/// main() prints what() as one line on stderr and exits 2; any other exception is a bug of ours (exit 1).
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Text of all parts written one after another with operator<<.
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// Throws Error("[where] text"); `where` is the source folder that found the problem. The text says what is wrong, what
/// was got, what was expected and what to do.
template <class... Parts>
[[noreturn]] void fail(std::string_view where, const Parts&... parts) {
  throw Error(concat("[", where, "] ", parts...));
}

}  // namespace lriad
