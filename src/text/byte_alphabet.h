#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lriad {

/// The character that byte-level BPE writes for each byte: 0x21-0x7E, 0xA1-0xAC and 0xAE-0xFF stand for themselves,
/// the other 68 bytes are U+0100, U+0101, ... in order (GPT-2's bytes_to_unicode).
const std::array<std::string, 256>& byte_characters();

/// The bytes that a token of the vocabulary encodes; if it has characters outside this alphabet, its UTF-8 bytes.
std::string token_to_bytes(std::string_view token);

/// The inverse: the token text that encodes these bytes.
std::string bytes_to_token(std::string_view bytes);

}  // namespace lriad
