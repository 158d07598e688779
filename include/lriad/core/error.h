#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace lriad {

/// Exit codes: a bug of ours, something the user can mend, stopped by the health guard.
inline constexpr int kBugExit = 1, kUserExit = 2, kGuardExit = 3;

/// What the user can mend: bad config, bad input, full disk, failed device call.
/// main() prints what() as one line on stderr and exits 2; any other exception is a bug of ours (exit 1).
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A function was called in a way that its header forbids, such as with a tensor of a wrong shape: a bug of ours.
/// main() asks the user to report what() and exits 1. Nothing catches it to go on.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
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

/// Throws InternalError("[where] text") unless the condition holds, which the callers have to see to.
template <class... Parts>
void require(bool condition, std::string_view where, const Parts&... parts) {
  if (!condition) throw InternalError(concat("[", where, "] ", parts...));
}

}  // namespace lriad
