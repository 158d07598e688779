#include "lriad/data/csv.h"

#include <utility>

#include "lriad/core/error.h"

namespace lriad {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// Walks a table character by character.
class CsvReader {
 public:
  CsvReader(std::string_view text, const std::filesystem::path& path) : text_(text), path_(path) {
    if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
  }

  CsvTable read() {
    while (at_ < text_.size()) read_row();
    return std::move(table_);
  }

 private:
  bool at_line_end() const {
    return at_ >= text_.size() || text_[at_] == '\n' || (text_[at_] == '\r' && text_.substr(at_, 2) == "\r\n");
  }

  void read_row() {
    CsvTable::Row row;
    row.line = line_;
    const size_t begin = at_;
    row.fields.push_back(read_field());
    while (at_ < text_.size() && text_[at_] == ',') {
      ++at_;
      row.fields.push_back(read_field());
    }
    const bool blank = at_ == begin;
    if (at_ < text_.size()) at_ += text_[at_] == '\r' ? 2 : 1;
    ++line_;
    if (!blank) table_.rows.push_back(std::move(row));
  }

  std::string read_field() {
    if (at_ < text_.size() && text_[at_] == '"') return read_quoted();
    const size_t begin = at_;
    while (!at_line_end() && text_[at_] != ',') ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string read_quoted() {
    const int64_t opened = line_;
    std::string field;
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') ++line_;
      if (c != '"') {
        field += c;
      } else if (text_.substr(at_ + 1, 1) == "\"") {
        field += '"';
        ++at_;
      } else {
        ++at_;
        if (!at_line_end() && text_[at_] != ',') fail_here("text after a closing quote, expected a comma");
        return field;
      }
    }
    fail("data", path_.string(), " line ", opened, ": a quote is opened and never closed");
  }

  [[noreturn]] void fail_here(const char* what) const { fail("data", path_.string(), " line ", line_, ": ", what); }

  std::string_view text_;
  const std::filesystem::path& path_;
  size_t at_ = 0;
  int64_t line_ = 1;
  CsvTable table_;
};

}  // namespace

CsvTable parse_csv(std::string_view text, const std::filesystem::path& path) { return CsvReader(text, path).read(); }

}  // namespace lriad
