#!/usr/bin/env python3
"""Chats of one user turn by the templates of Qwen2.5-VL and Qwen3-VL (transformers 5.23.0).

Usage: make_family_chats.py tests/golden > tests/golden/family_chats.json     (reads the tiny checkpoints there)
"""
import json
import sys

from transformers import AutoProcessor

CASES = ((None, "Is it broken?", 1), (None, "Which?", 2), (None, "\n a \n\n", 1), (None, "No picture", 0),
         ("Be brief.", "Is it?", 1), ("", "", 1))
rows = []
for family, name in (("qwen2_5_vl", "tiny_qwen25vl"), ("qwen3_vl", "tiny_qwen3vl")):
    processor = AutoProcessor.from_pretrained(f"{sys.argv[1]}/{name}")
    for system, text, images in CASES:
        messages = [{"role": "system", "content": system}] if system is not None else []
        messages.append({"role": "user", "content": [{"type": "image"}] * images + [{"type": "text", "text": text}]})
        chat = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        rows.append({"family": family, "system": system, "text": text, "images": images, "chat": chat})
print(json.dumps(rows, indent=1))
