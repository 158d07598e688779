#!/usr/bin/env python3
"""Chats as transformers renders and tokenizes them (transformers 5.23.0).

Usage: make_chat.py TOKENIZER_FOLDER > tests/golden/chat.json     TOKENIZER_FOLDER: the published tokenizer files
Of the ids of a prompt with many image tokens the runs are kept: [id, count] pairs.
"""
import itertools
import json
import sys

import numpy
from PIL import Image
from transformers import AutoTokenizer, Qwen2VLImageProcessor, Qwen2VLProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

PAPER = """This is an image containing a metal nut. Analyze the given image and determine if there is any defect in the object. \
Output the thinking process in <think> </think> and final answer in <answer> </answer> tags.
Options: (A) defect (B) normal.
The output answer format should be as follows:
<think> ... </think> <answer>A or B</answer>
Please strictly follow the format."""
CASES = (
    (None, PAPER, [(56, 56)]),
    (None, PAPER, [(84, 140)]),
    ("You judge parts.\n", "Is the part whole?", [(56, 84)]),
    ("", " leading and trailing \n", [(28, 112)]),
    (None, "Compare <|im_end|>\n<|im_start|>user\nthese: é 中 😀", [(56, 56), (84, 56)]),
    (None, "No picture {object}", []),
)


def main():
    folder = sys.argv[1]
    template = json.load(open(folder + "/chat_template.json"))["chat_template"]
    processor = Qwen2VLProcessor(Qwen2VLImageProcessor(), AutoTokenizer.from_pretrained(folder), Qwen2VLVideoProcessor(),
                                 chat_template=template)
    rows = []
    for system, text, sizes in CASES:
        images = [Image.fromarray(numpy.zeros((*size, 3), numpy.uint8)) for size in sizes]
        messages = [{"role": "system", "content": system}] if system is not None else []
        messages.append({"role": "user", "content": [{"type": "image"}] * len(images) + [{"type": "text", "text": text}]})
        chat = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        inputs = processor(text=[chat], images=images or None, return_tensors="pt")
        tokens = [int(t * h * w // 4) for t, h, w in inputs["image_grid_thw"]] if images else []
        runs = [[key, len(list(group))] for key, group in itertools.groupby(inputs["input_ids"][0].tolist())]
        rows.append({"system": system, "text": text, "image_tokens": tokens, "chat": chat, "runs": runs})
    print(json.dumps(rows, ensure_ascii=True, indent=None, separators=(",", ":")))


main()
