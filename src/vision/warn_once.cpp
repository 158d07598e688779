#include "warn_once.h"

#include <cstddef>
#include <mutex>
#include <set>

#include "lriad/core/error.h"
#include "lriad/core/log.h"

namespace lriad {

void warn_once(const std::string& file, const std::string& text) {
  constexpr std::size_t kEach = 20, kThen = 100;
  static std::mutex mutex;
  static std::set<std::string> warned;
  const std::lock_guard lock(mutex);
  if (!warned.insert(file).second) return;
  if (warned.size() > kEach && warned.size() % kThen != 0) return;
  log_warning(concat("[vision] ", file, ' ', text, " (file ", warned.size(), " with such a warning)"));
}

}  // namespace lriad
