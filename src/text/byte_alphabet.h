#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lriad {

/// The character that byte-level BPE writes for each byte: 0x21-0x7E, 0xA1-0xAC and 0xAE-0xFF stand for themselves,
/// the other 68 bytes, in order, are U+0100, U+0101, ...
const std::array<std::string, 256>& byte_characters();

/// Bytes that a token of the vocabulary stands for: those of its characters if all are of the alphabet, else its own
/// UTF-8 bytes.
std::string token_to_bytes(std::string_view token);

/// The token that would stand for the bytes.
std::string bytes_to_token(std::string_view bytes);

}  // namespace lriad
