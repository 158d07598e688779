"""One GRPO run by TRL's GRPOTrainer, by a loop as Visual-RFT published it, or by that loop tuned, for grpo_compare.py and
gpu_compare.py.

    python grpo_rival.py trl|visual_rft|tuned SETTINGS.json

SETTINGS: model, data (MVTec layout), prompt, prompts (a step), generations, new_tokens, steps, max_pixels, beta, threads; device
(cpu, or cuda for the loops) and dtype. Prints one JSON line: seconds of each step, peak memory (MiB: resident above that after
the imports; on a GPU what torch had allocated), language-model tokens and tower runs a step, tokens generated a step.
"""
import json
import os
import resource
import sys
import time
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", TRANSFORMERS_VERBOSITY="error")
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image
from transformers import AutoProcessor, Qwen2VLForConditionalGeneration

LORA = dict(r=4, lora_alpha=16, target_modules=["q_proj", "v_proj"])


def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Counter:
    """Rows through the language model, images through the tower, and tokens generated."""

    def __init__(self, model):
        self.rows = self.images = self.tokens = 0
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
    model = Qwen2VLForConditionalGeneration.from_pretrained(settings["model"], dtype=getattr(torch, settings["dtype"]))
    return model.to(settings["device"]), processor


def format_reward(completions, **_):
    return [float("</think>" in c[0]["content"] if isinstance(c, list) else "</think>" in c) for c in completions]


def run_trl(settings):
    from datasets import Dataset, Image as ImageColumn
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    class Stopwatch(TrainerCallback):
        def __init__(self):
            self.seconds = []

        def on_step_begin(self, *_, **__):
            self.start = time.perf_counter()

        def on_step_end(self, *_, **__):
            self.seconds.append(time.perf_counter() - self.start)

    model, processor = load(settings)
    counter = Counter(model)
    rows = [{"prompt": [{"role": "user", "content": text}], "image": path} for path, text in samples(settings)]
    data = Dataset.from_list(rows).cast_column("image", ImageColumn())
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


def sampling(model, settings):
    """All fields are set, so that a generation_config.json changes nothing. The loops would fail on image tokens of their own."""
    banned = [model.config.image_token_id, model.config.video_token_id]
    return dict(max_new_tokens=settings["new_tokens"], do_sample=True, temperature=1.0, top_k=0, top_p=1.0, min_p=None,
                repetition_penalty=1.0, suppress_tokens=banned)


def chat_inputs(processor, batch, device):
    """The processor's tensors for prompts with one image each, padded on the left."""
    chats = []
    for _, text in batch:
        content = [{"type": "image"}, {"type": "text", "text": text}]
        chats.append(processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True))
    images = [Image.open(path).convert("RGB") for path, _ in batch]
    return dict(processor(text=chats, images=images, padding=True, padding_side="left", return_tensors="pt").to(device))


def repeated(inputs, times):
    return {name: value.repeat(times, *[1] * (value.dim() - 1)) for name, value in inputs.items()}


def with_completions(inputs, ids):
    """Inputs of the training passes: the prompts' and the generated tokens."""
    full = {**inputs, "input_ids": ids}
    length = ids.shape[1] - inputs["input_ids"].shape[1]
    for name, value in (("attention_mask", 1), ("mm_token_type_ids", 0)):
        if name in inputs:
            full[name] = torch.cat([inputs[name], inputs[name].new_full((ids.shape[0], length), value)], 1)
    return full


def whole_logprobs(model, inputs, length):
    """Visual-RFT's: logits of the whole sequence, log-softmax row by row."""
    logits = model(**inputs).logits[:, :-1]
    ids = inputs["input_ids"][:, 1:]
    rows = [lg.log_softmax(-1).gather(1, i.unsqueeze(1)).squeeze(1) for lg, i in zip(logits, ids)]
    return torch.stack(rows)[:, -length:]


def short_logprobs(model, inputs, length):
    """Logits of the completion only, and no tensor of log-probabilities of the whole vocabulary."""
    logits = model(**inputs, logits_to_keep=length + 1, use_cache=False).logits[:, :-1]
    ids = inputs["input_ids"][:, -length:]
    rows = [lg.gather(1, i.unsqueeze(1)).squeeze(1) - lg.logsumexp(-1) for lg, i in zip(logits, ids)]
    return torch.stack(rows)


def learn(model, processor, full, length, logprobs, settings):
    """Gradient of the GRPO loss of one prompt's completions."""
    logp = logprobs(model, full, length).float()
    with torch.no_grad(), model.disable_adapter():
        ref = logprobs(model, full, length).float()
    rewards = torch.tensor(format_reward(processor.batch_decode(full["input_ids"][:, -length:], skip_special_tokens=True)))
    advantage = ((rewards - rewards.mean()) / (rewards.std() + 1e-4)).unsqueeze(1).to(logp.device)
    k3 = torch.exp(ref - logp) - (ref - logp) - 1
    loss = -(torch.exp(logp - logp.detach()) * advantage - settings["beta"] * k3).mean() / settings["prompts"]
    loss.backward()


def visual_rft_step(model, processor, counter, batch, settings):
    """src/virft/src/open_r1/trainer/grpo_trainer.py: one prompt at a time, its image again for each completion and pass."""
    for prompt in batch:
        many = repeated(chat_inputs(processor, [prompt], settings["device"]), settings["generations"])
        model.eval()
        with torch.no_grad():
            out = model.generate(**many, **sampling(model, settings))
        model.train()
        length = out.shape[1] - many["input_ids"].shape[1]
        counter.tokens += out.shape[0] * length
        learn(model, processor, with_completions(many, out), length, whole_logprobs, settings)


def tuned_step(model, processor, counter, batch, settings):
    """All prompts generated at once, logits where they are needed only. The prompt and its image are still computed for each
    completion: transformers has no way to share them."""
    G = settings["generations"]
    inputs = chat_inputs(processor, batch, settings["device"])
    model.eval()
    with torch.no_grad():
        out = model.generate(**inputs, num_return_sequences=G, **sampling(model, settings))
    model.train()
    length = out.shape[1] - inputs["input_ids"].shape[1]
    counter.tokens += out.shape[0] * length
    patches = inputs["image_grid_thw"].prod(1).tolist()
    pixels = inputs["pixel_values"].split(patches)
    for j in range(len(batch)):
        one = {name: pixels[j] if name == "pixel_values" else value[j:j + 1] for name, value in inputs.items()}
        learn(model, processor, with_completions(repeated(one, G), out[j * G:(j + 1) * G]), length, short_logprobs, settings)


def run_loop(settings, one_step, fused):
    model, processor = load(settings)
    counter = Counter(model)
    model = get_peft_model(model, LoraConfig(**LORA, lora_dropout=settings.get("lora_dropout", 0.0)))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-6, fused=fused)
    rows, seconds = samples(settings), []
    for step in range(settings["steps"]):
        batch = [rows[(step * settings["prompts"] + k) % len(rows)] for k in range(settings["prompts"])]
        start = time.perf_counter()
        one_step(model, processor, counter, batch, settings)
        optimizer.step()
        optimizer.zero_grad()
        if settings["device"] == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return seconds, counter


def main():
    kind, settings = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(0)
    if kind == "trl":
        import datasets, trl  # noqa: F401 (their memory is not that of the run)
    before = resident_mib()
    runs = {"trl": run_trl, "visual_rft": lambda s: run_loop(s, visual_rft_step, fused=False),
            "tuned": lambda s: run_loop(s, tuned_step, fused=True)}
    seconds, counter = runs[kind](settings)
    steps = settings["steps"]
    peak = torch.cuda.max_memory_allocated() / 2**20 if settings["device"] == "cuda" else peak_mib() - before
    print(json.dumps({"seconds": seconds, "peak_mib": peak, "rows": counter.rows / steps, "images": counter.images / steps,
                      "tokens": counter.tokens / steps}))


if __name__ == "__main__":
    main()
