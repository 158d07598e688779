#include <charconv>
#include <cmath>

#include "field.h"
#include "lriad/core/error.h"
#include "yaml_text.h"

namespace lriad {
namespace {

using Problem = std::optional<std::string>;

Problem expected(const YamlNode& node, const std::string& what) {
  return concat("is ", shown(node), ", expected ", what);
}

bool is_plain(const YamlNode& node) { return node.kind == YamlNode::Kind::kScalar && !node.quoted; }

/// Decimal digits with an optional sign, nothing else; null too for what does not fit the type.
template <class Number>
std::optional<Number> parse_digits(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  Number value{};
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || problem != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> parse_real(std::string_view text) {
  // from_chars reads "nan", "inf" and their like too.
  if (text.find_first_not_of("0123456789+-.eE") != std::string_view::npos) return std::nullopt;
  const std::optional<double> value = parse_digits<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

class IntegerField : public Field {
 public:
  IntegerField(int64_t& value, Whole range) : value_(value), range_(range) {}
  Problem read(const YamlNode& node) override {
    if (range_.zero_name != nullptr && node.kind == YamlNode::Kind::kScalar && node.text == range_.zero_name) {
      value_ = 0;
      return {};
    }
    const auto number = is_plain(node) ? parse_digits<int64_t>(node.text) : std::nullopt;
    if (!number || *number < range_.low || *number > range_.high) {
      return expected(node,
                      concat(range_.zero_name != nullptr ? concat(range_.zero_name, " or ") : "", "an integer from ",
                             range_.low, " to ", range_.high, node.quoted ? ", without quotes" : ""));
    }
    value_ = *number;
    return {};
  }
  std::string write() const override {
    return value_ == 0 && range_.zero_name != nullptr ? range_.zero_name : concat(value_);
  }

 private:
  int64_t& value_;
  Whole range_;
};

class SeedField : public Field {
 public:
  explicit SeedField(uint64_t& value) : value_(value) {}
  Problem read(const YamlNode& node) override {
    const auto number = is_plain(node) ? parse_digits<uint64_t>(node.text) : std::nullopt;
    if (!number) return expected(node, "an integer from 0 to 18446744073709551615");
    value_ = *number;
    return {};
  }
  std::string write() const override { return concat(value_); }

 private:
  uint64_t& value_;
};

class RealField : public Field {
 public:
  RealField(double& value, Interval range) : value_(value), range_(range) {}
  Problem read(const YamlNode& node) override {
    const auto number = is_plain(node) ? parse_real(node.text) : std::nullopt;
    if (!number || !inside(*number)) {
      return expected(node, concat("a number ", range_.ends == Ends::kWithoutLow ? "above " : "from ", range_.low,
                                   range_.ends == Ends::kWithoutHigh ? " to below " : " to ", range_.high,
                                   node.quoted ? ", without quotes" : ""));
    }
    value_ = *number;
    return {};
  }
  std::string write() const override { return yaml_number(value_); }

 private:
  bool inside(double number) const {
    if (number < range_.low || number > range_.high) return false;
    if (range_.ends == Ends::kWithoutLow) return number > range_.low;
    return range_.ends != Ends::kWithoutHigh || number < range_.high;
  }
  double& value_;
  Interval range_;
};

class FlagField : public Field {
 public:
  explicit FlagField(bool& value) : value_(value) {}
  Problem read(const YamlNode& node) override {
    const bool plain = is_plain(node);
    const auto is_one_of = [&](const char* a, const char* b, const char* c) {
      return plain && (node.text == a || node.text == b || node.text == c);
    };
    const bool yes = is_one_of("true", "True", "TRUE");
    if (!yes && !is_one_of("false", "False", "FALSE")) return expected(node, "true or false");
    value_ = yes;
    return {};
  }
  std::string write() const override { return value_ ? "true" : "false"; }

 private:
  bool& value_;
};

/// An optional number: null is a value of its own.
template <class Inner, class Number, class Range>
class OptionalField : public Field {
 public:
  OptionalField(std::optional<Number>& value, Range range) : value_(value), inner_(number_, range) {}
  Problem read(const YamlNode& node) override {
    if (node.kind == YamlNode::Kind::kNull) {
      value_.reset();
      return {};
    }
    if (Problem problem = inner_.read(node)) return problem;
    value_ = number_;
    return {};
  }
  std::string write() const override {
    if (!value_) return "null";
    Number number = *value_;
    Range all{};
    return Inner(number, all).write();
  }
  bool nullable() const override { return true; }

 private:
  std::optional<Number>& value_;
  Number number_{};
  Inner inner_;
};

}  // namespace

FieldPointer integer_field(int64_t& value, Whole range) { return std::make_unique<IntegerField>(value, range); }
FieldPointer integer_field(std::optional<int64_t>& value, Whole range) {
  return std::make_unique<OptionalField<IntegerField, int64_t, Whole>>(value, range);
}
FieldPointer seed_field(uint64_t& value) { return std::make_unique<SeedField>(value); }
FieldPointer real_field(double& value, Interval range) { return std::make_unique<RealField>(value, range); }
FieldPointer real_field(std::optional<double>& value, Interval range) {
  return std::make_unique<OptionalField<RealField, double, Interval>>(value, range);
}
FieldPointer flag_field(bool& value) { return std::make_unique<FlagField>(value); }

}  // namespace lriad
