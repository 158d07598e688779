// Runs one fuzz target, by libFuzzer if built with LRIAD_LIBFUZZER. Otherwise this driver takes the same options,
// -runs=N -max_total_time=SECONDS -seed=S FILE_OR_FOLDER...: it tries each file unchanged, then inputs made from them
// by seeded changes, so that N runs can be repeated exactly. An input that ends the process or takes 20 s of processor
// time is left in the working folder as finding-<process id>.
#include <sys/mman.h>
#include <sys/time.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <utility>
#include <vector>

#include "fuzz.h"

namespace lriad {
namespace {

const FuzzTarget& chosen_target() {
  const char* wanted = std::getenv("LRIAD_FUZZ_TARGET");
  for (const FuzzTarget& target : fuzz_targets()) {
    if (wanted != nullptr && std::strcmp(target.name, wanted) == 0) return target;
  }
  std::fputs("LRIAD_FUZZ_TARGET names none of:", stderr);
  for (const FuzzTarget& target : fuzz_targets()) std::fprintf(stderr, " %s", target.name);
  std::fputc('\n', stderr);
  std::exit(2);
}

void run(const std::string& input) {
  static const FuzzTarget& target = chosen_target();
  target.run(input);
}

}  // namespace
}  // namespace lriad

#ifdef LRIAD_LIBFUZZER

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  lriad::run({reinterpret_cast<const char*>(data), size});
  return 0;
}

#else

namespace lriad {
namespace {

constexpr std::size_t kMaxInput = 1 << 20;
constexpr time_t kMaxSeconds = 20;

/// Keeps the input that is being tried in a file, which remains if the process dies.
class LastInput {
 public:
  LastInput() : path_("finding-" + std::to_string(::getpid())) {
    file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    void* map = ::ftruncate(file_, kMaxInput) != 0
                    ? MAP_FAILED
                    : ::mmap(nullptr, kMaxInput, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
    if (map == MAP_FAILED) throw std::runtime_error("cannot write " + path_);
    bytes_ = static_cast<char*>(map);
  }
  void set(const std::string& input) {
    std::memcpy(bytes_, input.data(), input.size());
    if (size_ > input.size()) std::memset(bytes_ + input.size(), 0, size_ - input.size());
    size_ = input.size();
  }
  void remove() const { ::unlink(path_.c_str()); }

 private:
  std::string path_;
  int file_ = -1;
  char* bytes_ = nullptr;
  std::size_t size_ = 0;
};

constexpr std::string_view kWords[] = {"\"",
                                       "\\",
                                       "{",
                                       "}",
                                       "[",
                                       "]",
                                       ",",
                                       ":",
                                       "\n",
                                       "\r\n",
                                       "null",
                                       "true",
                                       "-1",
                                       "0",
                                       "1e999",
                                       "NaN",
                                       "../",
                                       "/",
                                       "in/",
                                       "<",
                                       "&",
                                       "\xFF\xFF",
                                       "\xC3\xA4",
                                       "'",
                                       "#",
                                       "- ",
                                       "%",
                                       "\\u0000",
                                       "!!x",
                                       "&a [*a]",
                                       "*a",
                                       "2147483648",
                                       "9223372036854775808",
                                       "18446744073709551615",
                                       "4294967297",
                                       "{object}"};

/// Makes inputs by seeded changes of those in the corpus.
class Mutator {
 public:
  Mutator(std::vector<std::string> corpus, uint64_t seed) : corpus_(std::move(corpus)), random_(seed) {}

  std::string next() {
    std::string input = corpus_[below(corpus_.size())];
    for (std::size_t changes = 1 + below(6); changes > 0; --changes) change(input);
    input.resize(std::min(input.size(), kMaxInput));
    return input;
  }

 private:
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  std::string word() {
    const std::size_t which = below(std::size(kWords) + 3);
    if (which < std::size(kWords)) return std::string(kWords[which]);
    return which == std::size(kWords) ? std::string(1, '\0') : std::string(100, which % 2 == 0 ? '[' : '{');
  }

  void change(std::string& input) {
    const std::size_t at = below(input.size() + 1), rest = input.size() - at;
    const std::size_t length = below(std::min<std::size_t>(rest, 64) + 1);
    switch (below(7)) {
      case 0:
        if (rest > 0) input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
        break;
      case 1:
        if (rest > 0) input[at] = static_cast<char>(random_());
        break;
      case 2:
        input.replace(at, below(2) == 0 ? 0 : length, word());
        break;
      case 3:
        input.erase(at, length);
        break;
      case 4:
        input.insert(below(input.size() + 1), input.substr(at, length));
        break;
      case 5:
        splice(input, at);
        break;
      default:
        overwrite_number(input, at);
    }
  }

  void splice(std::string& input, std::size_t at) {
    const std::string& other = corpus_[below(corpus_.size())];
    input.replace(at, std::string::npos, other.substr(below(other.size() + 1)));
  }

  void overwrite_number(std::string& input, std::size_t at) {
    constexpr uint64_t kNumbers[] = {0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, INT64_MAX, UINT64_MAX};
    uint64_t number = kNumbers[below(std::size(kNumbers))] + below(3) - 1;
    const std::size_t width = std::size_t{1} << below(4);
    for (std::size_t i = 0; i < width && at + i < input.size(); ++i, number >>= 8)
      input[at + i] = static_cast<char>(number);
  }

  std::vector<std::string> corpus_;
  std::mt19937_64 random_;
};

void take(const std::filesystem::path& path, std::vector<std::string>& corpus) {
  std::vector<std::filesystem::path> files = {path};
  if (std::filesystem::is_directory(path)) {
    files.assign(std::filesystem::directory_iterator(path), {});
    std::sort(files.begin(), files.end());
  }
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    if (bytes.size() <= kMaxInput) corpus.push_back(std::move(bytes));
  }
}

struct Options {
  uint64_t runs = UINT64_MAX, seconds = UINT32_MAX, seed = 1;
  std::vector<std::string> corpus = {""};
};

Options options_of(const std::vector<std::string>& arguments) {
  Options options;
  const std::pair<std::string_view, uint64_t*> numbers[] = {
      {"-runs=", &options.runs}, {"-max_total_time=", &options.seconds}, {"-seed=", &options.seed}};
  for (const std::string& argument : arguments) {
    const auto* found = std::ranges::find_if(numbers, [&](const auto& one) { return argument.starts_with(one.first); });
    if (found == std::end(numbers)) {
      take(argument, options.corpus);
    } else {
      std::from_chars(argument.data() + found->first.size(), argument.data() + argument.size(), *found->second);
    }
  }
  return options;
}

int run_all(Options options) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(options.seconds);
  constexpr itimerval limit = {{0, 0}, {kMaxSeconds, 0}};
  LastInput last;
  uint64_t done = 0;
  const auto attempt = [&](const std::string& input) {
    last.set(input);
    ::setitimer(ITIMER_PROF, &limit, nullptr);
    run(input);
    ++done;
  };
  for (const std::string& input : options.corpus) attempt(input);
  Mutator mutator(std::move(options.corpus), options.seed);
  for (uint64_t i = 0; i < options.runs && std::chrono::steady_clock::now() < end; ++i) attempt(mutator.next());
  last.remove();
  std::printf("Done %llu runs\n", static_cast<unsigned long long>(done));
  return 0;
}

}  // namespace
}  // namespace lriad

int main(int argc, char** argv) { return lriad::run_all(lriad::options_of({argv + 1, argv + argc})); }

#endif
