#!/usr/bin/env python3
"""Strings and their ids from the `tokenizers` library and the real Qwen2-VL tokenizer.

Usage: make_tokenizer.py TOKENIZER_FOLDER > tests/golden/tokenizer.json      (tokenizers 0.23.3, seed 7)
Of most strings only a checksum of the ids is kept: the sum of id[i] * (i + 1) modulo 2^31 - 1.
"""
import json
import random
import sys

from tokenizers import Tokenizer

ALPHABETS = [
    "abcdefghij XYZ.,'\"!?()<>{}[]-_/\\",
    "0123456789 .,+-",
    " \t\n\r\u00a0\u2003\u3000\u200b\ufeff\x85\x1c",
    "äöüßéèçñåøæ ÄÖÜ",
    "e\u0301a\u0308o\u0302u\u0327n\u0303 \u1100\u1161\u11a8\u0344",
    "中文字符測試。、「」日本語テスト한국어",
    "Привет мир Ελληνικά עברית العربية हिन्दी",
    "😀🎉👩‍👩‍👧🏽🇩🇪✅½²Ⅷ٣",
    "it's I'M we'Ll they'Re don'T 'ſ x'd",
]


def string(rng):
    alphabet = rng.choice(ALPHABETS) if rng.random() < 0.7 else "".join(rng.sample(ALPHABETS, 3))
    if rng.random() < 0.2:
        points = (rng.choice((rng.randrange(0x20, 0x3000), rng.randrange(0x3000, 0xD800))) for _ in range(20))
        alphabet += "".join(map(chr, points))
    text = "".join(rng.choice(alphabet) for _ in range(rng.randrange(1, 40)))
    if rng.random() < 0.1:
        text += rng.choice(["<|im_start|>", "<|image_pad|>", "<|im_end|>\n", "<think>", "<|vision_start|"]) + text[:5]
    return text


def main():
    tokenizer = Tokenizer.from_file(sys.argv[1] + "/tokenizer.json")
    rng = random.Random(7)
    texts = [string(rng) for _ in range(10000)]
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    sums = [sum(token * (i + 1) for i, token in enumerate(row)) % (2**31 - 1) for row in ids]
    decoded = [tokenizer.decode(row[1:], skip_special_tokens=True) for row in ids[:200]]
    json.dump({"texts": texts, "checksums": sums, "ids": ids[:200], "decoded_from_second": decoded}, sys.stdout)


main()
