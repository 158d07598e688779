#include "byte_alphabet.h"

#include "utf8.h"

namespace lriad {
namespace {

constexpr size_t kLastCharacter = 0x143;  // 0x100 + 68 - 1

bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<std::string, 256> characters;
  std::array<int16_t, kLastCharacter + 1> bytes{};  // -1: not in the alphabet

  Alphabet() {
    bytes.fill(-1);
    char32_t moved = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte) {
      const char32_t code = stands_for_itself(byte) ? byte : moved++;
      utf8::append(characters[byte], code);
      bytes[code] = static_cast<int16_t>(byte);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet instance;
  return instance;
}

}  // namespace

const std::array<std::string, 256>& byte_characters() { return alphabet().characters; }

std::string token_to_bytes(std::string_view token) {
  std::string bytes;
  bytes.reserve(token.size());
  for (size_t at = 0; at < token.size();) {
    const utf8::Step step = utf8::step(token, at);
    if (!step.valid || step.code > kLastCharacter || alphabet().bytes[step.code] < 0) return std::string(token);
    bytes.push_back(static_cast<char>(static_cast<unsigned char>(alphabet().bytes[step.code])));
    at += step.length;
  }
  return bytes;
}

std::string bytes_to_token(std::string_view bytes) {
  std::string token;
  for (const char byte : bytes) token += alphabet().characters[static_cast<unsigned char>(byte)];
  return token;
}

}  // namespace lriad
