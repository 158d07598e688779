"""GRPO steps side by side: lriad-train, TRL's GRPOTrainer and a loop as Visual-RFT published it, on the same random models,
images, prompt, lengths and number of threads.

    python grpo_compare.py --bin-dir build/bin [--work DIR] [--threads 1] [--sizes tiny small]

Prints a Markdown table: median seconds of a step (the first left out), peak resident memory above a process that has loaded its
libraries and done nothing, rows through the language model and images through the vision tower in a step (counted).
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PROMPT = """This is an image containing a {object}. Analyze the given image and determine if there is any defect in the object. \
Output the thinking process in <think> </think> and final answer in <answer> </answer> tags.
Options: (A) defect (B) normal.
The output answer format should be as follows:
<think> ... </think> <answer>A or B</answer>
Please strictly follow the format."""
SIZES = {"tiny": {"image": (56, 56), "prompts": 8, "new_tokens": 24, "steps": 6},
         "small": {"image": (896, 448), "prompts": 2, "new_tokens": 64, "steps": 3}}
PEAK = "import resource,subprocess,sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); " \
       "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"


def peak_mib(command, environment):
    return float(subprocess.run([sys.executable, "-c", PEAK, *map(str, command)], env=environment, check=True,
                                capture_output=True, text=True).stdout)


def make_inputs(bin_dir, work, size):
    """(model folder, data folder) of a size, made once."""
    from PIL import Image
    model, data, raw = work / f"model_{size}", work / f"data_{size}", work / f"raw_{size}"
    tool = [str(bin_dir / "lriad-tool")]
    if not model.exists():
        subprocess.run([*tool, "make-model", "--output", model, "--size", size, "--dtype", "float32", "--quiet"], check=True)
    if not data.exists():
        subprocess.run([*tool, "make-data", "--output", raw, "--images", "8", "--defect-rate", "0.5", "--size",
                        str(min(SIZES[size]["image"])), "--quiet"], check=True)
        for file in raw.rglob("*.png"):
            (data / file.relative_to(raw)).parent.mkdir(parents=True, exist_ok=True)
            Image.open(file).resize(SIZES[size]["image"]).save(data / file.relative_to(raw))
    return model, data


def run_ours(bin_dir, work, size, model, data, threads):
    shape, output = SIZES[size], work / f"run_{size}"
    shutil.rmtree(output, ignore_errors=True)
    config = {"stage": "grpo", "preset": "trl_grpo", "output_dir": str(output),
              "model": {"path": str(model), "dtype": "float32"}, "lora": {"lora_dropout": 0.0},
              "data": {"format": "mvtec", "root": str(data)},
              "rollout": {"num_generations": 8, "max_completion_length": shape["new_tokens"]}, "grpo": {"beta": 0.04},
              "train": {"max_steps": shape["steps"], "per_device_train_batch_size": shape["prompts"],
                        "gradient_accumulation_steps": 1, "save_steps": 0},
              "log": {"completions": False, "tensorboard": False}, "distributed": {"devices": "cpu"}}
    path = work / f"config_{size}.yaml"
    path.write_text(json.dumps(config))
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), CUDA_VISIBLE_DEVICES="")
    idle = peak_mib([bin_dir / "lriad-train", "--version"], environment)
    peak = peak_mib([bin_dir / "lriad-train", "--config", path, "--quiet"], environment)
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return {"seconds": [line["time/step"] for line in lines], "peak_mib": peak - idle,
            "rows": statistics.mean(line["passes/rows"] for line in lines),
            "images": statistics.mean(line["passes/images"] for line in lines)}


def run_rival(kind, work, size, model, data, threads):
    shape = SIZES[size]
    settings = {"model": str(model), "data": str(data), "prompt": PROMPT, "prompts": shape["prompts"], "generations": 8,
                "new_tokens": shape["new_tokens"], "steps": shape["steps"], "max_pixels": 401408, "beta": 0.04,
                "threads": threads, "device": "cpu", "dtype": "float32"}
    path = work / f"settings_{size}.json"
    path.write_text(json.dumps(settings))
    done = subprocess.run([sys.executable, Path(__file__).with_name("grpo_rival.py"), kind, path], capture_output=True, text=True,
                          env=dict(os.environ, OMP_NUM_THREADS=str(threads), CUDA_VISIBLE_DEVICES=""))
    if done.returncode != 0:
        sys.exit(f"{kind} failed: {done.stderr[-1000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin-dir", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="folder for models and runs, used again (default: a temporary one)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="bench_"))
    work.mkdir(parents=True, exist_ok=True)
    print(f"| model, {options.threads} thread(s) | trainer | s/step | ours is faster by | peak MiB | of the rival's | LM rows | images |")
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    for size in options.sizes:
        inputs = make_inputs(options.bin_dir.resolve(), work.resolve(), size)
        ours = run_ours(options.bin_dir.resolve(), work.resolve(), size, *inputs, options.threads)
        own = statistics.median(ours["seconds"][1:])
        print(f"| {size} | lriad-train | {own:.3f} | | {ours['peak_mib']:.0f} | | {ours['rows']:.0f} | {ours['images']:.0f} |", flush=True)
        for kind in ("trl", "visual_rft"):
            rival = run_rival(kind, work.resolve(), size, *inputs, options.threads)
            seconds = statistics.median(rival["seconds"][1:])
            print(f"| {size} | {kind} | {seconds:.3f} | {seconds / own:.1f}x | {rival['peak_mib']:.0f} | "
                  f"{ours['peak_mib'] / rival['peak_mib']:.2f} | {rival['rows']:.0f} | {rival['images']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
