#include "unicode.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>
#include <unicode/unistr.h>

#include <array>
#include <limits>

#include "lriad/core/error.h"

namespace lriad::unicode {
namespace {

constexpr char32_t kCodePoints = 0x110000;

struct LateRange {
  char32_t first;
  char32_t last;
  CharClass kind;
};

// Letters and numbers that Unicode 15.1 and 16.0 added. They are listed here because ICU 72 (Unicode 15.0) lacks them.
constexpr std::array<LateRange, 29> kLateRanges = {{
    {0x1C89, 0x1C8A, CharClass::kLetter},   {0xA7CB, 0xA7CD, CharClass::kLetter},
    {0xA7DA, 0xA7DC, CharClass::kLetter},   {0x105C0, 0x105F3, CharClass::kLetter},
    {0x10D40, 0x10D49, CharClass::kNumber}, {0x10D4A, 0x10D65, CharClass::kLetter},
    {0x10D6F, 0x10D85, CharClass::kLetter}, {0x10EC2, 0x10EC4, CharClass::kLetter},
    {0x11380, 0x11389, CharClass::kLetter}, {0x1138B, 0x1138B, CharClass::kLetter},
    {0x1138E, 0x1138E, CharClass::kLetter}, {0x11390, 0x113B5, CharClass::kLetter},
    {0x113B7, 0x113B7, CharClass::kLetter}, {0x113D1, 0x113D1, CharClass::kLetter},
    {0x113D3, 0x113D3, CharClass::kLetter}, {0x116D0, 0x116E3, CharClass::kNumber},
    {0x11BC0, 0x11BE0, CharClass::kLetter}, {0x11BF0, 0x11BF9, CharClass::kNumber},
    {0x13460, 0x143FA, CharClass::kLetter}, {0x16100, 0x1611D, CharClass::kLetter},
    {0x16130, 0x16139, CharClass::kNumber}, {0x16D40, 0x16D6C, CharClass::kLetter},
    {0x16D70, 0x16D79, CharClass::kNumber}, {0x18CFF, 0x18CFF, CharClass::kLetter},
    {0x1CCF0, 0x1CCF9, CharClass::kNumber}, {0x1E5D0, 0x1E5ED, CharClass::kLetter},
    {0x1E5F0, 0x1E5F0, CharClass::kLetter}, {0x1E5F1, 0x1E5FA, CharClass::kNumber},
    {0x2EBF0, 0x2EE5D, CharClass::kLetter},
}};

bool assigned_by_unicode_15(UChar32 code) {
  UVersionInfo age;
  u_charAge(code, age);
  return age[0] < 15 || (age[0] == 15 && age[1] == 0);
}

UBool take_range(const void* context, UChar32 start, UChar32 limit, UCharCategory category) {
  const uint32_t mask = U_MASK(category);
  if ((mask & (U_GC_L_MASK | U_GC_N_MASK)) == 0) return true;
  const CharClass kind = (mask & U_GC_L_MASK) != 0 ? CharClass::kLetter : CharClass::kNumber;
  std::string& table = **static_cast<std::string* const*>(context);
  for (UChar32 code = start; code < limit; ++code) {
    if (assigned_by_unicode_15(code)) table[static_cast<size_t>(code)] = static_cast<char>(kind);
  }
  return true;
}

const icu::Normalizer2& full_nfc() {
  static const icu::Normalizer2* const normalizer = [] {
    UErrorCode status = U_ZERO_ERROR;
    const icu::Normalizer2* found = icu::Normalizer2::getNFCInstance(status);
    if (U_FAILURE(status)) fail("text", "ICU gives no NFC normalizer: ", u_errorName(status));
    return found;
  }();
  return *normalizer;
}

const icu::Normalizer2& unicode_9_nfc() {
  static const icu::Normalizer2* const normalizer = [] {
    UErrorCode status = U_ZERO_ERROR;
    // Never freed: FilteredNormalizer2 keeps a reference to the set.
    auto* known = new icu::UnicodeSet(icu::UnicodeString("[:age=9.0:]"), status);
    if (U_FAILURE(status)) fail("text", "ICU knows no character ages: ", u_errorName(status));
    known->freeze();
    return new icu::FilteredNormalizer2(full_nfc(), *known);
  }();
  return *normalizer;
}

}  // namespace

CharClasses::CharClasses() : table_(kCodePoints, static_cast<char>(CharClass::kOther)) {
  const std::string* const context = &table_;
  u_enumCharTypes(take_range, &context);
  for (const LateRange& range : kLateRanges) {
    for (char32_t code = range.first; code <= range.last; ++code) table_[code] = static_cast<char>(range.kind);
  }
  for (char32_t code = 0; code <= 0x3000; ++code) {
    if (u_isUWhiteSpace(static_cast<UChar32>(code))) table_[code] = static_cast<char>(CharClass::kSpace);
  }
}

const CharClasses& CharClasses::instance() {
  static const CharClasses classes;
  return classes;
}

bool is_word(char32_t code) {
  const auto c = static_cast<UChar32>(code);
  return u_hasBinaryProperty(c, UCHAR_ALPHABETIC) || u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL) ||
         (U_GET_GC_MASK(c) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0;
}

std::string nfc(std::string_view text) {
  if (text.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    fail("text", "a text of ", text.size(), " bytes is too long, expected less than 2 GiB; split it");
  }
  const auto length = static_cast<int32_t>(text.size());
  UErrorCode status = U_ZERO_ERROR;
  // Text that is NFC by ICU's data is also NFC by that of Unicode 9, which normalizes fewer code points.
  if (full_nfc().isNormalizedUTF8(icu::StringPiece(text.data(), length), status) && U_SUCCESS(status)) {
    return std::string(text);
  }
  status = U_ZERO_ERROR;
  icu::UnicodeString normal;
  unicode_9_nfc().normalize(icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), length)), normal, status);
  if (U_FAILURE(status)) fail("text", "ICU could not normalize a text: ", u_errorName(status));
  std::string out;
  normal.toUTF8String(out);
  return out;
}

}  // namespace lriad::unicode
