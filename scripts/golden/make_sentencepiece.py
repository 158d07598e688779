#!/usr/bin/env python3
"""A small sentencepiece folder and the ids that transformers gives for some texts.

Usage: make_sentencepiece.py tests/golden/sentencepiece     (sentencepiece 0.2.3, transformers 5.23.0, seed 5)
Writes tokenizer.model, tokenizer_config.json and expected.json (texts, ids, texts decoded with special tokens skipped).
"""
import io
import json
import random
import sys
import tempfile
from pathlib import Path

import sentencepiece
from transformers import AutoTokenizer

LINES = (
    "This is an image containing a metal nut. Analyze the given image and determine if there is any defect in the object. "
    "Output the thinking process in <think> </think> and final answer in <answer> </answer> tags.",
    "Options: (A) defect (B) normal.",
    "The output answer format should be as follows:",
    "<think> ... </think> <answer>A or B</answer>",
    "Please strictly follow the format.",
    "You are a helpful assistant.",
)
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
           "<|video_pad|>")
CONFIG = {"tokenizer_class": "LlamaTokenizer", "add_prefix_space": False, "legacy": False, "add_bos_token": False,
          "bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": "<unk>",
          "clean_up_tokenization_spaces": False}
ALPHABETS = ("abc defg hij.<>/", "ABC (0123) think answer ", " \t\n\u00a0\u2003", "äöü é \u0301 中文 😀 Ⅷ", "<think></answer>|im_start|")


def train():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES * 3), model_writer=model, model_type="bpe", vocab_size=420, byte_fallback=True,
        add_dummy_prefix=False, remove_extra_whitespaces=False, normalization_rule_name="identity", bos_id=-1, eos_id=-1,
        control_symbols=list(CONTROL), character_coverage=1.0, minloglevel=2)
    return model.getvalue()


def texts():
    rng = random.Random(5)
    chat = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>" + "\n".join(LINES) + "<|im_end|>\n"
    made = [chat, "<answer>A", "<answer>B", "<think> é 12\n\t  中 😀 </think> <answer>A</answer>", " two  spaces ", "<unk> x", ""]
    for _ in range(200):
        text = "".join(rng.choice(rng.choice(ALPHABETS)) for _ in range(rng.randrange(1, 40)))
        made.append(text + (rng.choice(CONTROL) + text[:3] if rng.random() < 0.2 else ""))
    return made


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(train())
    (folder / "tokenizer_config.json").write_text(json.dumps(CONFIG, indent=1) + "\n")
    with tempfile.TemporaryDirectory() as name:
        for file in ("tokenizer.model", "tokenizer_config.json"):
            (Path(name) / file).write_bytes((folder / file).read_bytes())
        (Path(name) / "config.json").write_text('{"model_type": "qwen2_vl"}')
        tokenizer = AutoTokenizer.from_pretrained(name)
    rows = [(text, tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts()]
    expected = {"texts": [text for text, _ in rows], "ids": [ids for _, ids in rows],
                "skipped": [tokenizer.decode(ids, skip_special_tokens=True) for _, ids in rows],
                "decoded": [tokenizer.decode(ids) for _, ids in rows]}
    (folder / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


main()
