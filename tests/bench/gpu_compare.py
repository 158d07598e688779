"""What one GPU makes of a GRPO step: parity with the CPU first, then seconds and memory of lriad-train beside a loop as Visual-RFT
published it and beside a tuned loop of transformers, and a step of four ranks as far as one card can show it. scripts/bench_gpu.sh
runs it; Python's standard library is enough, the loops need torch, transformers, peft and pillow.

    python gpu_compare.py --bin-dir build/bin [--output bench_gpu.json] [--dry-run] [--minutes 8] [--work DIR] [--loops PYTHON]

Prints one Markdown table and writes the same with all raw figures as JSON. Exit codes: 0; 1 if a part
failed, parity above all; 2 if no GPU is here.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from grpo_compare import PROMPT

HERE = Path(__file__).resolve().parent
# The paper's step: 2 prompts x 8 completions x 256 tokens, images of 484 tokens. Four steps are four ranks' shares.
CARD = {"size": "7b", "dtype": "bfloat16", "image": 616, "generations": 8, "new_tokens": 256, "steps": 5, "loop_steps": 2}
TINY = {"size": "tiny", "dtype": "float32", "image": 56, "generations": 4, "new_tokens": 8, "steps": 5, "loop_steps": 2}
PROMPTS, RANKS = 2, 4
A40_GIB = 45
# Modelled: the sum of 1.26 M float32 gradients over four cards of one machine by a ring over PCIe.
RING_SECONDS = 2 * (RANKS - 1) * 10e-6 + 2 * (RANKS - 1) / RANKS * 5.05e6 / 10e9
GOALS = {"a40_step": 9.0, "h200_step": 1.5, "decode_share": 0.85, "peak_gb": 29, "visual_rft": 8, "tuned": 3}


class OutOfTime(Exception):
    pass


class Bench:
    def __init__(self, options):
        self.options = options
        self.shape = TINY if options.dry_run else CARD
        self.device = "cpu" if options.dry_run else "cuda"
        self.deadline = time.monotonic() + 60 * options.minutes
        self.work = options.work
        self.rows, self.raw, self.failed = [], {}, False
        self.mark = "CPU, tiny: shows only that it runs"
        self.environment = dict(os.environ)
        if options.dry_run:
            self.environment.update(CUDA_VISIBLE_DEVICES="", OMP_NUM_THREADS="1")

    def row(self, part, figure, beside=""):
        self.rows.append({"part": part, "figure": figure, "beside": beside})
        print(f"[bench_gpu] {part}: {figure}" + (f" ({beside})" if beside else ""), file=sys.stderr, flush=True)

    def run(self, command, **more):
        """Output of a command, which gets what is left of the time."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise OutOfTime
        try:
            return subprocess.run([str(word) for word in command], env=self.environment, capture_output=True, text=True,
                                  timeout=left, **more)
        except subprocess.TimeoutExpired as late:
            raise OutOfTime from late

    def program(self, name, *arguments):
        done = self.run([self.options.bin_dir / name, *arguments])
        if done.returncode != 0:
            raise RuntimeError(f"{name} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        return done.stdout

    def part(self, name, work):
        """Runs a part and says whether it went well; if not, that is its row, and parts that do not need it go on."""
        try:
            work()
            return True
        except OutOfTime:
            self.row(name, "left out: no time left")
        except (RuntimeError, OSError, ValueError, KeyError) as error:
            self.failed = True
            self.row(name, "FAILED: " + str(error).strip().splitlines()[-1][:200])
        return False

    def look_at_card(self):
        if self.options.dry_run:
            return
        found = self.run(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]).stdout
        self.mark = f"{found.splitlines()[0]}, {self.shape['size']} {self.shape['dtype']}"
        self.raw["version"] = self.program("lriad-train", "--version")

    def run_device_tests(self):
        build = self.options.bin_dir.parent
        if self.options.dry_run or not (build / "CTestTestfile.cmake").exists():
            self.row("tests labelled device", "not run", "they need a card and a build folder")
            return
        done = self.run(["ctest", "--test-dir", build, "-L", "device", "--no-tests=error"])
        last = [line for line in done.stdout.splitlines() if "tests passed" in line or "tests failed" in line]
        self.failed |= done.returncode != 0
        self.row("tests labelled device", (last or done.stderr.splitlines() or ["no output"])[-1])

    def compare_with_cpu(self):
        done = self.run([self.options.bin_dir / "bench_gpu", "parity", self.device])
        if done.returncode not in (0, 1) or not done.stdout:
            raise RuntimeError(done.stderr or f"bench_gpu ended with {done.returncode}")
        found = self.raw["parity"] = json.loads(done.stdout)
        self.failed |= not found["passes"]
        self.row("parity with the CPU, tiny model", "yes" if found["passes"] else "NO",
                 f"float32: log-probabilities {found['logp_gap']:.1e}, gradient {found['gradient_gap']:.1e} relative, "
                 f"{found['equal_tokens']} of {found['tokens']} sampled tokens equal; bfloat16: "
                 f"{found['bfloat16_logp_error']:.1e}, the CPU's {found['bfloat16_logp_error_cpu']:.1e}")
        self.row("the same pass twice", "equal bits" if found["repeats"] else "DIFFERENT bits")

    def sanitize(self):
        tool = shutil.which("compute-sanitizer")
        if self.options.dry_run or not tool:
            self.row("compute-sanitizer on the tiny model", "not run", "it needs a card and the CUDA toolkit")
            return
        done = self.run([tool, "--target-processes", "all", "--error-exitcode", "9", self.options.bin_dir / "bench_gpu", "parity", "cuda"])
        self.failed |= done.returncode == 9
        summary = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR SUMMARY" in line]
        self.row("compute-sanitizer on the tiny model", summary[-1].strip("= ") if summary else f"ended with {done.returncode}")

    def make_inputs(self):
        self.model, self.data = self.work / f"model_{self.shape['size']}", self.work / f"data_{self.shape['image']}"
        if not self.model.exists():
            self.program("lriad-tool", "--quiet", "make-model", "--output", self.model, "--size", self.shape["size"], "--dtype",
                         self.shape["dtype"])
        if not self.data.exists():
            self.program("lriad-tool", "--quiet", "make-data", "--output", self.data, "--images", "12", "--defect-rate", "0.5",
                         "--size", self.shape["image"])

    def look_inside(self):
        found = self.raw["speed"] = json.loads(self.program("bench_gpu", "speed", self.device, self.model))
        self.row("ceilings: copy, read, bfloat16 product",
                 f"{found['copy_gb_s']:.4g} GB/s, {found['read_gb_s']:.4g} GB/s, {found['product_tflop_s']:.4g} TFLOP/s")
        for one in found["decode"]:
            share = one["read_gb_s"] / found["read_gb_s"]
            self.row(f"decode, {one['rows']:.0f} rows", f"{one['token_ms']:.3g} ms a token",
                     f"{100 * share:.0f}% of the bandwidth read; first token {one['first_token_ms']:.3g} ms")
        self.raw["decode_share"] = found["decode"][-1]["read_gb_s"] / found["read_gb_s"]

    def train(self, name, steps, **distributed):
        """Metrics of the steps after the first."""
        output = self.work / name
        shutil.rmtree(output, ignore_errors=True)
        shape = self.shape
        config = {"stage": "grpo", "preset": "lriad_paper", "output_dir": str(output),
                  "model": {"path": str(self.model), "dtype": shape["dtype"], "gradient_checkpointing": "off"},
                  "lora": {"lora_dropout": 0.0}, "data": {"format": "mvtec", "root": str(self.data)},
                  "rollout": {"num_generations": shape["generations"], "max_completion_length": shape["new_tokens"]},
                  "grpo": {"kl_anchor": "base", "beta": 0.04},
                  "train": {"max_steps": steps, "per_device_train_batch_size": 1, "gradient_accumulation_steps": PROMPTS,
                            "save_steps": 0, "logging_steps": 1},
                  "log": {"completions": False, "tensorboard": False},
                  "distributed": {"devices": "cpu" if self.options.dry_run else "1", **distributed}}
        path = self.work / f"{name}.yaml"
        path.write_text(json.dumps(config))
        self.program("lriad-train", "--quiet", "--config", path)
        lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
        return path, [line for line in lines if "time/step" in line][1:]

    def time_ours(self):
        self.config, lines = self.train("ours", self.shape["steps"])
        self.raw["ours"] = lines
        self.seconds = [line["time/step"] for line in lines]
        self.peak_gb = max(line["memory/peak_gb"] for line in lines)
        phases = {key: statistics.median(line[key] for line in lines) for key in lines[0]
                  if key.startswith("time/") and key not in ("time/step", "time/elapsed")}
        largest = sorted(phases, key=phases.get, reverse=True)[:4]
        self.row(f"step of {PROMPTS} x {self.shape['generations']} x {self.shape['new_tokens']}, lriad-train",
                 f"{statistics.median(self.seconds):.3g} s",
                 ", ".join(f"{key[5:]} {phases[key]:.3g} s" for key in largest))

    def compare_with_plan(self):
        plan = self.program("lriad-train", "--config", self.config, "--plan", "--device-memory", "1000")
        planned = float(re.search(r"^peak +([0-9.]+) GB", plan, re.M).group(1))
        self.raw["plan"] = plan
        self.row("peak memory, lriad-train", f"{self.peak_gb:.3g} GB", f"--plan: {planned:.3g} GB")

    def train_in_part(self):
        if self.options.dry_run:
            _, lines = self.train("part", 2, memory_fraction=0.5)
            name = "in half of the memory"
        else:
            total = float(self.run(["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]).stdout.split()[0])
            _, lines = self.train("part", 2, memory_fraction=min(1.0, A40_GIB * 1024 / total))
            name = f"in {A40_GIB} GiB, as of an A40"
        self.raw["part"] = lines
        self.row(f"step {name}", f"{lines[-1]['time/step']:.3g} s", f"peak {lines[-1]['memory/peak_gb']:.3g} GB")

    def loop(self, kind, name):
        settings = {"model": str(self.model), "data": str(self.data), "prompt": PROMPT, "prompts": PROMPTS,
                    "generations": self.shape["generations"], "new_tokens": self.shape["new_tokens"],
                    "steps": self.shape["loop_steps"], "max_pixels": 401408, "beta": 0.04, "threads": 1 if self.options.dry_run else 8,
                    "device": self.device, "dtype": self.shape["dtype"]}
        path = self.work / "loop.json"
        path.write_text(json.dumps(settings))
        if self.run([self.options.loops, "-c", "import torch, transformers, peft, PIL"]).returncode != 0:
            self.row(name, "not run", f"{self.options.loops} lacks torch, transformers, peft or pillow")
            return
        done = self.run([self.options.loops, HERE / "grpo_rival.py", kind, path])
        if done.returncode != 0:
            raise RuntimeError(done.stderr or f"ended with {done.returncode}")
        found = self.raw[kind] = json.loads(done.stdout.splitlines()[-1])
        seconds = min(found["seconds"][1:])
        ratio = self.raw[kind]["ratio"] = seconds / statistics.median(self.seconds)
        self.row(f"step, {name}", f"{seconds:.3g} s",
                 f"lriad-train is faster by {ratio:.1f}x; peak {found['peak_mib'] * 2**20 / 1e9:.3g} GB")

    def simulate_ranks(self):
        slowest = max(self.seconds[:RANKS])
        total = slowest + RING_SECONDS
        mean = statistics.mean(self.seconds[:RANKS])
        self.raw["four_ranks"] = {"step_s": total, "sum_of_gradients_s": RING_SECONDS}
        self.row(f"step of {RANKS} ranks, simulated", f"{total:.3g} s",
                 f"the slowest of {RANKS} measured shares and {1e3 * RING_SECONDS:.2g} ms modelled for the sum of gradients; "
                 f"{RANKS * mean / total:.2f}x the prompts of one rank")

    def repeat_ours(self):
        _, lines = self.train("again", 3)
        seconds = [line["time/step"] for line in lines]
        self.raw["again"] = lines
        self.row("step, lriad-train once more", f"{statistics.median(seconds):.3g} s", "after the loops: shows drift of the card")

    def judge(self):
        """The goals beside what was measured; said only where a card was."""
        if self.options.dry_run:
            return
        card = "h200" if "H200" in self.mark else "a40" if "A40" in self.mark else None
        said = []
        if card and hasattr(self, "seconds"):
            said.append(("step", statistics.median(self.seconds), GOALS[f"{card}_step"], False))
        if "decode_share" in self.raw:
            said.append(("share of bandwidth", self.raw["decode_share"], GOALS["decode_share"], True))
        if hasattr(self, "peak_gb"):
            said.append(("peak", self.peak_gb, GOALS["peak_gb"], False))
        said += [(kind, self.raw[kind]["ratio"], GOALS[kind], True) for kind in ("visual_rft", "tuned") if kind in self.raw]
        missed = [f"{what} {value:.3g}, goal {goal:g}" for what, value, goal, more in said if (value < goal) == more and value != goal]
        self.row("goals", f"{len(said) - len(missed)} of {len(said)} reached", "; ".join(missed))

    def all_parts(self):
        self.look_at_card()
        self.failed |= not self.part("parity", self.compare_with_cpu)
        if self.failed:
            return  # figures of a device that computes something else mean nothing
        if self.part("inputs", self.make_inputs):
            self.part("speed of parts", self.look_inside)
            if self.part("lriad-train", self.time_ours):
                self.beside_ours()
        self.part("tests labelled device", self.run_device_tests)
        self.part("compute-sanitizer", self.sanitize)
        self.judge()

    def beside_ours(self):
        self.part("plan", self.compare_with_plan)
        self.part("four ranks", self.simulate_ranks)
        for kind, name in (("visual_rft", "loop as Visual-RFT published it"), ("tuned", "tuned transformers loop")):
            self.part(name, lambda: self.loop(kind, name))
        self.part("lriad-train once more", self.repeat_ours)
        self.part("part of the memory", self.train_in_part)

    def table(self):
        lines = [f"| {self.mark} | figure | beside |", "|---|--:|---|"]
        return "\n".join(lines + [f"| {row['part']} | {row['figure']} | {row['beside']} |" for row in self.rows])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin-dir", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("bench_gpu.json"), help="JSON file to write")
    parser.add_argument("--dry-run", action="store_true", help="every part on the CPU with a tiny model")
    parser.add_argument("--minutes", type=float, default=8, help="parts that come later are left out")
    parser.add_argument("--work", type=Path, help="folder for models and runs, used again (default: a temporary one)")
    parser.add_argument("--loops", default=sys.executable, help="Python of the two loops (default: this one)")
    options = parser.parse_args()
    options.bin_dir = options.bin_dir.resolve()
    if not options.dry_run and shutil.which("nvidia-smi") is None:
        print("[bench_gpu] no nvidia-smi, so no GPU is here; --dry-run shows on the CPU that all parts run", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="bench_gpu_") as scratch:
        options.work = (options.work or Path(scratch)).resolve()
        options.work.mkdir(parents=True, exist_ok=True)
        bench = Bench(options)
        bench.all_parts()
    print(bench.table())
    document = {"measured_on": bench.mark, "date": time.strftime("%Y-%m-%d"), "rows": bench.rows, "raw": bench.raw}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    part = options.output.with_suffix(".part")
    part.write_text(json.dumps(document, indent=1) + "\n")
    part.replace(options.output)
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
