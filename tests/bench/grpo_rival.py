"""One GRPO run by TRL's GRPOTrainer, or by a loop as Visual-RFT published it, for grpo_compare.py.

    python grpo_rival.py trl|visual_rft SETTINGS.json

SETTINGS: model, data (MVTec layout), prompt, prompts (a step), generations, new_tokens, steps, max_pixels, beta. Prints one JSON
line: seconds of each step, peak resident memory above that after the imports (MiB), language-model tokens and tower runs a step.
"""
import json
import os
import resource
import sys
import time
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", CUDA_VISIBLE_DEVICES="", TRANSFORMERS_VERBOSITY="error")
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from PIL import Image
from transformers import AutoProcessor, Qwen2VLForConditionalGeneration, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

LORA = dict(r=4, lora_alpha=16, target_modules=["q_proj", "v_proj"])


def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Counter:
    """Rows through the language model and images through the tower."""

    def __init__(self, model):
        self.rows = self.images = 0
        base = model.model
        base.language_model.register_forward_pre_hook(self.count_rows, with_kwargs=True)
        base.visual.register_forward_pre_hook(self.count_images, with_kwargs=True)

    def count_rows(self, _, args, kwargs):
        embeds = kwargs.get("inputs_embeds")
        self.rows += embeds.shape[0] * embeds.shape[1]

    def count_images(self, _, args, kwargs):
        self.images += kwargs["grid_thw"].shape[0]


def samples(settings):
    files = sorted(Path(settings["data"]).rglob("*.png"))
    return [(str(f), settings["prompt"].replace("{object}", f.relative_to(settings["data"]).parts[0])) for f in files]


def load(settings):
    processor = AutoProcessor.from_pretrained(settings["model"], min_pixels=3136, max_pixels=settings["max_pixels"])
    model = Qwen2VLForConditionalGeneration.from_pretrained(settings["model"], dtype=torch.float32)
    return model, processor


def format_reward(completions, **_):
    return [float("</think>" in c[0]["content"] if isinstance(c, list) else "</think>" in c) for c in completions]


class Stopwatch(TrainerCallback):
    def __init__(self):
        self.seconds = []

    def on_step_begin(self, *_, **__):
        self.start = time.perf_counter()

    def on_step_end(self, *_, **__):
        self.seconds.append(time.perf_counter() - self.start)


def run_trl(settings):
    model, processor = load(settings)
    counter = Counter(model)
    rows = [{"prompt": [{"role": "user", "content": text}], "image": path} for path, text in samples(settings)]
    data = Dataset.from_list(rows).cast_column("image", __import__("datasets").Image())
    arguments = GRPOConfig(
        output_dir="/tmp/grpo_rival", use_cpu=True, bf16=False, gradient_checkpointing=False, report_to=[], logging_steps=1,
        save_strategy="no", disable_tqdm=True, per_device_train_batch_size=settings["prompts"] * settings["generations"],
        num_generations=settings["generations"], max_completion_length=settings["new_tokens"], max_steps=settings["steps"],
        beta=settings["beta"], temperature=1.0, top_k=0, top_p=1.0, learning_rate=1e-6, loss_type="grpo")
    watch = Stopwatch()
    trainer = GRPOTrainer(model=model, reward_funcs=format_reward, args=arguments, train_dataset=data,
                          processing_class=processor, peft_config=LoraConfig(**LORA, lora_dropout=0.0), callbacks=[watch])
    trainer.train()
    return watch.seconds, counter


def completion_logprobs(model, inputs, length):
    """Visual-RFT's: logits of the whole sequence, log-softmax row by row."""
    logits = model(**inputs).logits[:, :-1]
    ids = inputs["input_ids"][:, 1:]
    rows = [lg.log_softmax(-1).gather(1, i.unsqueeze(1)).squeeze(1) for lg, i in zip(logits, ids)]
    return torch.stack(rows)[:, -length:]


def visual_rft_step(model, processor, optimizer, batch, settings):
    """src/virft/src/open_r1/trainer/grpo_trainer.py: one prompt at a time, its image again for each completion and pass."""
    G = settings["generations"]
    banned = [model.config.image_token_id, model.config.video_token_id]  # it would fail on its own image tokens
    for path, text in batch:
        content = [{"type": "image"}, {"type": "text", "text": text}]
        chat = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        one = processor(text=[chat], images=[Image.open(path).convert("RGB")], return_tensors="pt")
        start = one["input_ids"].shape[1]
        model.eval()
        with torch.no_grad():
            many = {"input_ids": one["input_ids"].repeat(G, 1), "attention_mask": one["attention_mask"].repeat(G, 1),
                    "mm_token_type_ids": one["mm_token_type_ids"].repeat(G, 1),
                    "pixel_values": one["pixel_values"].repeat(G, 1), "image_grid_thw": one["image_grid_thw"].repeat(G, 1)}
            out = model.generate(**many, max_new_tokens=settings["new_tokens"], do_sample=True, temperature=1.0, top_k=0,
                                 top_p=1.0, suppress_tokens=banned)
        model.train()
        length = out.shape[1] - start
        full = {**many, "input_ids": out, "attention_mask": torch.ones_like(out),
                "mm_token_type_ids": torch.cat([many["mm_token_type_ids"], torch.zeros(G, length, dtype=torch.long)], 1)}
        logp = completion_logprobs(model, full, length)
        with torch.no_grad(), model.disable_adapter():
            ref = completion_logprobs(model, full, length)
        texts = processor.batch_decode(out[:, start:], skip_special_tokens=True)
        rewards = torch.tensor(format_reward(texts))
        advantage = ((rewards - rewards.mean()) / (rewards.std() + 1e-4)).unsqueeze(1)
        k3 = torch.exp(ref - logp) - (ref - logp) - 1
        loss = -(torch.exp(logp - logp.detach()) * advantage - settings["beta"] * k3).mean() / len(batch)
        loss.backward()
    optimizer.step()
    optimizer.zero_grad()


def run_visual_rft(settings):
    model, processor = load(settings)
    counter = Counter(model)
    model = get_peft_model(model, LoraConfig(**LORA, lora_dropout=0.0))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-6)
    rows, seconds = samples(settings), []
    for step in range(settings["steps"]):
        batch = [rows[(step * settings["prompts"] + k) % len(rows)] for k in range(settings["prompts"])]
        start = time.perf_counter()
        visual_rft_step(model, processor, optimizer, batch, settings)
        seconds.append(time.perf_counter() - start)
    return seconds, counter


def main():
    kind, settings = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(0)
    before = resident_mib()
    seconds, counter = {"trl": run_trl, "visual_rft": run_visual_rft}[kind](settings)
    steps = settings["steps"]
    print(json.dumps({"seconds": seconds, "peak_mib": peak_mib() - before, "rows": counter.rows / steps,
                      "images": counter.images / steps}))


if __name__ == "__main__":
    main()
