"""What transformers makes of tokenizer folders whose files disagree about added tokens.

    python make_added_tokens.py FOLDER OUTPUT      # transformers 5.23.0, tokenizers 0.23.3

FOLDER has the tokenizer published with Qwen2-VL-2B-Instruct. Each case changes files of it by JSON merge patches (null
removes a file); OUTPUT (tests/golden/added_tokens.json) has the patches, the ids of a text and what they decode to.
"""
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
from transformers import AutoTokenizer

TEXT = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Is it? <think> x </think><|im_end|>"
FILES = ("tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "added_tokens.json")


def patched(value, patch):
    if not isinstance(patch, dict):
        return patch
    value = dict(value) if isinstance(value, dict) else {}
    for key, change in patch.items():
        if change is None:
            value.pop(key, None)
        else:
            value[key] = patched(value.get(key), change)
    return value


def cases(folder):
    whole = json.loads((folder / "tokenizer.json").read_text())["added_tokens"]
    config = json.loads((folder / "tokenizer_config.json").read_text())
    ids = {entry["content"]: int(key) for key, entry in config["added_tokens_decoder"].items()}
    plain = {"content": "<think>", "special": False, "lstrip": False, "rstrip": False, "normalized": False,
             "single_word": False}
    without = {"added_tokens_decoder": None}

    def only(keep):
        return {"tokenizer.json": {"added_tokens": [token for token in whole if keep(token)]}}

    def with_flags(content, **flags):
        return [dict(token, **flags) if token["content"] == content else token for token in whole]

    few = only(lambda token: token["content"] not in ("<|vision_start|>", "<|image_pad|>", "<|im_end|>"))
    none = only(lambda token: False)
    yield "as published", {}
    yield "some in tokenizer_config.json only", few
    yield "the last in tokenizer_config.json only", only(lambda token: token["id"] < 151652)
    yield "all in tokenizer_config.json only", none
    yield "some in added_tokens.json only", {**few, "tokenizer_config.json": without, "added_tokens.json": ids}
    yield "all in added_tokens.json only", {**none, "tokenizer_config.json": without, "added_tokens.json": ids}
    yield "one more in tokenizer_config.json", {
        "tokenizer_config.json": {"added_tokens_decoder": {"151657": plain}}}
    yield "one more in added_tokens.json", {
        "tokenizer_config.json": without, "added_tokens.json": {"<think>": 151657}}
    yield "added_tokens.json beside a list in tokenizer_config.json", {"added_tokens.json": {"<think>": 151657}}
    yield "flags differ", {"tokenizer.json": {"added_tokens": with_flags("<|im_end|>", special=False)}}
    yield "flags of tokenizer_config.json", {"tokenizer_config.json": {
        "additional_special_tokens": [], "added_tokens_decoder": {"151652": {"special": False}}}}
    yield "named special", {"tokenizer_config.json": {"added_tokens_decoder": {"151652": {"special": False}}}}
    yield "vocab.json and merges.txt", {"tokenizer.json": None}
    yield "vocab.json, merges.txt and added_tokens.json", {
        "tokenizer.json": None, "tokenizer_config.json": without, "added_tokens.json": ids}


def main():
    source, output = Path(sys.argv[1]), Path(sys.argv[2])
    result = {"text": TEXT, "cases": []}
    for name, patches in cases(source):
        with tempfile.TemporaryDirectory() as made:
            for file in FILES:
                if (source / file).exists() and file not in patches:
                    shutil.copy(source / file, made)
            for file, patch in patches.items():
                if patch is not None:
                    before = json.loads((source / file).read_text()) if (source / file).exists() else {}
                    Path(made, file).write_text(json.dumps(patched(before, patch)))
            tokenizer = AutoTokenizer.from_pretrained(made)
            ids = tokenizer(TEXT)["input_ids"]
            result["cases"].append({"name": name, "patches": patches, "ids": ids,
                                    "decoded": tokenizer.decode(ids, skip_special_tokens=True)})
    output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
