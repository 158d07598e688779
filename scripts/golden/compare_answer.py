"""Scores the tokens that lriad-eval wrote for one image with transformers: the same model, prompt and image, bfloat16 and
float32 side by side, so that the difference can be held against bfloat16's own noise.

    python compare_answer.py MODEL DATA predictions.jsonl
"""
import json
import sys
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageTextToText


def logprobs(model, inputs, ids):
    joined = torch.tensor([inputs["input_ids"] + ids])
    types = (joined == model.config.image_token_id).long()
    with torch.no_grad():
        logits = model(input_ids=joined, pixel_values=inputs["pixels"], image_grid_thw=inputs["grid"], mm_token_type_ids=types,
                       logits_to_keep=len(ids) + 1).logits[0, :-1].float()
    return logits.log_softmax(-1).gather(1, torch.tensor(ids).unsqueeze(1)).squeeze(1), logits.argmax(-1).tolist()


def main():
    folder, data, predictions = sys.argv[1:]
    row = json.loads(Path(predictions).read_text().splitlines()[0])
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil",
                                                   size={"shortest_edge": 3136, "longest_edge": 100352})
    image = processor(images=[Image.open(Path(data) / row["image"]).convert("RGB")], return_tensors="pt")
    inputs = {"input_ids": row["prompt_ids"], "pixels": image["pixel_values"], "grid": image["image_grid_thw"]}
    ids, ours = row["completion_ids"], torch.tensor(row["logprobs"])
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.bfloat16)
    half, greedy = logprobs(model, inputs, ids)
    exact, _ = logprobs(model.float(), inputs, ids)
    print(f"[real shapes] tokens {ids}; transformers in bfloat16 would take {greedy}")
    print(f"[real shapes] largest difference of log-probabilities: ours to bfloat16 {float((ours - half).abs().max()):.4f}, "
          f"ours to float32 {float((ours - exact).abs().max()):.4f}, bfloat16 to float32 {float((half - exact).abs().max()):.4f}")


if __name__ == "__main__":
    main()
