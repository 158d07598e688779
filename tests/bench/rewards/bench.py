"""Benchmark of rewards: which mode finds the rare defects with how many rollouts, on procedural parts and a tiny model.

Objects A are trained on, objects B tested on; each mode takes the rate that does best on a validation split of objects A.
Every program run is a job with a folder of its own; what has finished before is kept. Needs Python 3.9 only.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

import report
from modes import ABLATIONS, CONTROLS, GENERATIONS, MODES, PROMPTS, RARE, RATES, RealSizes, Sizes, Trial

HERE = pathlib.Path(__file__).parent
FAINT = ["--contrast-min", "0.2", "--contrast-max", "0.6"]
UNSEEN = "nut,pcb,cap,cross"


class Bench:
    about = "percent on unseen parts, half of them defective"

    def __init__(self, bin_dir, work, sizes, base_seed, jobs):
        self.bin, self.work, self.sizes, self.base_seed, self.jobs = bin_dir, work, sizes, base_seed, jobs
        self.seeds = [base_seed + k for k in range(sizes.seeds)]
        self.base = HERE / "base.yaml"

    def seeds_of(self, mode):
        return self.seeds[:self.sizes.ablation_seeds] if mode in ABLATIONS else self.seeds

    def run(self, name, command, reads=()):
        """Runs a program into the folder `name`, unless it has run with the same command on the same inputs."""
        folder = self.work / name
        mark = folder.with_name(folder.name + ".finished")
        configs = [word.read_text() for word in command if isinstance(word, pathlib.Path) and word.suffix == ".yaml"]
        inputs = [str(command)] + configs + [(self.work / f"{one}.finished").read_text() for one in reads]
        wanted = hashlib.sha256("\n".join(inputs).encode()).hexdigest()
        if mark.exists() and mark.read_text() == wanted:
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        mark.unlink(missing_ok=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        words = [str(self.bin / command[0])] + [str(word) for word in command[1:]] + ["--output", str(folder)]
        done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        if done.returncode != 0:
            raise SystemExit(f"[bench rewards] {' '.join(words)}\nended with {done.returncode}:\n{done.stderr[-2000:]}{done.stdout[-500:]}")
        mark.write_text(wanted)
        return folder

    def all(self, title, calls):
        """Runs the calls side by side."""
        start = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            for k, one in enumerate(concurrent.futures.as_completed([pool.submit(call) for call in calls])):
                if one.exception():
                    pool.shutdown(cancel_futures=True)
                    raise one.exception()
                spent = time.monotonic() - start
                if (k + 1) % max(1, len(calls) // 10) == 0 or k + 1 == len(calls):
                    print(f"== {title}: {k + 1}/{len(calls)}, {spent:.0f} s, {spent / (k + 1) * (len(calls) - k - 1):.0f} s left", flush=True)

    def data_at(self, name):
        """Format and root of a data set."""
        folder = self.work / "data" / name
        return ("jsonl", folder / "data.jsonl") if (folder / "data.jsonl").exists() else ("mvtec", folder)

    def make_data(self):
        s, seed = self.sizes, 1000 * self.base_seed
        sets = {f"train_{report.slug(name)}": ["--images", s.train, "--defect-rate", rate, *FAINT] for name, rate in RARE.items()}
        sets["validation"] = ["--images", s.validation, "--defect-rate", 0.5, *FAINT]
        sets["test"] = ["--images", s.test, "--defect-rate", 0.5, "--objects", UNSEEN, *FAINT]
        self.all("images", [lambda n=name, o=options, k=k: self.run(f"data/{n}", ["lriad-tool", "make-data", *o, "--seed", seed + k])
                              for k, (name, options) in enumerate(sets.items())])
        self.shuffle_labels(self.work / "data/train_10", seed)

    def shuffle_labels(self, source, seed):
        """The images of `source` under labels that say nothing, as many of each as before."""
        images = sorted(path.relative_to(source) for path in source.rglob("*.png"))
        labels = [label_of(path) for path in images]
        random.Random(seed).shuffle(labels)
        self.write_set("shuffled", source, [{"image": str(path), "object": path.parts[0], "label": label}
                                            for path, label in zip(images, labels)])

    def write_set(self, name, source, rows):
        """A data set `name` of these lines, with the images of `source` that they name."""
        folder = self.work / "data" / name
        for row in rows:
            image = folder / row["image"]
            image.parent.mkdir(parents=True, exist_ok=True)
            if not image.exists():
                shutil.copyfile(source / row["image"], image)
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "data.jsonl").write_text(text)
        folder.with_name(name + ".finished").write_text(hashlib.sha256(text.encode()).hexdigest())

    def cold_start(self, seed):
        """A model that sees most defects, then is taught to overlook faint ones: few found, no false alarms, as in the paper."""
        s, home = self.sizes, f"cold/{seed}"
        clear = ["--format", "jsonl", "--images", s.cold_images, "--defect-rate", 0.4, "--contrast-min", 0.1, "--seed", seed]
        shy = ["--format", "jsonl", "--images", s.shy_images, "--defect-rate", 0.1, "--contrast-min", 0.1, "--overlook-below", 0.65, "--seed", seed + 500]
        self.run(f"{home}/clear", ["lriad-tool", "make-data", *clear])
        self.run(f"{home}/shy", ["lriad-tool", "make-data", *shy])
        self.run(f"{home}/random", ["lriad-tool", "make-model", "--size", "tiny", "--dtype", "float32", "--seed", seed])
        config = ["lriad-train", "--config", HERE.parents[2] / "configs/smoke_sft.yaml", "--set", f"seed={seed}"]
        for name, start, data, steps, rate in [("sharp", "random", "clear", s.cold_steps, 1e-3), ("model", "sharp", "shy", s.shy_steps, 3e-4)]:
            settings = [f"model.path={self.work / home / start}", f"data.root={self.work / home / data / 'data.jsonl'}", f"train.max_steps={steps}", f"optim.learning_rate={rate}"]
            self.run(f"{home}/{name}", config + set_words(settings), [f"{home}/{start}", f"{home}/{data}"])
        self.judge_cold(seed)
        self.evaluate(f"{home}/sharp_greedy", seed, None, 0, model="sharp")

    def judge_cold(self, seed):
        self.evaluate(f"cold/{seed}/greedy", seed, None, 0)
        self.evaluate(f"cold/{seed}/sampled", seed, None, 1)

    def train(self, name, settings, seed, data, eval_data, eval_steps):
        (form, root), (eval_form, eval_root) = self.data_at(data), self.data_at(eval_data)
        settings = settings + [f"model.path={self.work / f'cold/{seed}/model'}", f"seed={seed}", f"data.format={form}", f"data.root={root}",
                               f"eval_data={{format: {eval_form}, root: \"{eval_root}\"}}",
                               f"train.eval_steps={eval_steps}", f"train.max_steps={self.sizes.steps}"]
        return self.run(name, ["lriad-train", "--config", self.base, *set_words(settings)], [f"cold/{seed}/model", f"data/{data}", f"data/{eval_data}"])

    def evaluate(self, name, seed, adapter, temperature, model="model"):
        form, root = self.data_at("test")
        command = ["lriad-eval", "--config", self.base, "--model", self.work / f"cold/{seed}/{model}", "--data", root,
                   "--format", form, "--max-new-tokens", 24, "--temperature", temperature]
        reads = [f"cold/{seed}/{model}", "data/test"]
        if adapter:
            command, reads = command + ["--adapter", self.work / adapter], reads + [adapter]
        return self.run(name, command, reads)

    def tune(self, modes, rare):
        """Each mode's rate with the best balanced accuracy on the validation split, mean of the tuning seeds."""
        tried = {(mode, rate): [f"tune/{report.slug(rare)}/{report.slug(mode)}/{rate}/{seed}" for seed in self.seeds[:self.sizes.tuning_seeds]] for mode in modes for rate in RATES}
        self.all(f"learning rates, {rare} defects", [
            lambda n=name, m=mode, r=rate: self.train(n, modes[m] + [f"optim.learning_rate={r}"], int(n.rsplit("/", 1)[1]), f"train_{report.slug(rare)}", "validation", self.sizes.steps)
            for (mode, rate), names in tried.items() for name in names])
        scores = {key: report.mean([report.curve(self.work / name)[-1]["balanced_accuracy"] for name in names]) for key, names in tried.items()}
        return {mode: {"rate": max(RATES, key=lambda rate: scores[mode, rate]), "validation": {rate: scores[mode, rate] for rate in RATES}} for mode in modes}

    def compare(self, title, modes, rates, rare, data=None):
        data = data or f"train_{report.slug(rare)}"

        def one(mode, seed):
            name = f"final/{report.slug(rare)}/{report.slug(mode)}/{seed}"
            self.train(name, modes[mode] + [f"optim.learning_rate={rates[mode]}"], seed, data, "test", self.sizes.eval_steps)
            self.evaluate(f"sampled/{report.slug(rare)}/{report.slug(mode)}/{seed}", seed, name, 1)
        self.all(f"{title}, {rare} defects", [lambda m=mode, s=seed: one(m, s) for seed in self.seeds for mode in modes if seed in self.seeds_of(mode)])


class RealBench(Bench):
    """The four modes on photographs of ball screws: a third of the spots for a cold start, a third for GRPO, a third to test."""
    about = "percent on spots that were not trained on"

    def __init__(self, bin_dir, work, base_seed, jobs, images):
        super().__init__(bin_dir, work, RealSizes, base_seed, jobs)
        self.base, self.images = HERE / "real.yaml", images

    def make_data(self):
        """One spot was photographed many times: its name decides where it lies, as in scripts/real_run.sh."""
        files = sorted(path.relative_to(self.images) for path in self.images.rglob("*.jpg"))
        spot = lambda path: re.sub(r"_crop_[0-9]+\.jpg$", "", re.sub(r"^01_[0-9]+_", "", path.name))
        spots = {name: k % 3 for k, name in enumerate(sorted({spot(path) for path in files}))}
        thirds = [[path for path in files if spots[spot(path)] == third] for third in range(3)]
        for name, paths in [("cold", rare_defects(thirds[0])), ("validation", thirds[0]), ("train_10", rare_defects(thirds[1])), ("test", thirds[2])]:
            self.write_set(name, self.images, [{"image": str(path), "object": "ball_screw", "label": label_of(path), "defect_type": path.parent.name}
                                                 for path in paths])

    def cold_start(self, seed):
        home = f"cold/{seed}"
        self.run(f"{home}/random", ["lriad-tool", "make-model", "--size", "tiny", "--dtype", "float32", "--seed", seed])
        settings = [f"seed={seed}", f"model.path={self.work / home / 'random'}", f"data.root={self.data_at('cold')[1]}",
                    "data.sampler=shuffle", f"train.max_steps={self.sizes.cold_steps}"]
        self.run(f"{home}/model", ["lriad-train", "--config", HERE.parents[2] / "configs/ball_screw_sft.yaml", *set_words(settings)],
                 [f"{home}/random", "data/cold"])
        self.judge_cold(seed)


def label_of(path):
    """The label of an image in MVTec-AD's layout."""
    return "normal" if path.parent.name == "good" else "defect"


def rare_defects(paths):
    """All normal images and so many defects that one image in ten shows one."""
    normal = [path for path in paths if label_of(path) == "normal"]
    defects = [path for path in paths if label_of(path) == "defect"]
    wanted = max(1, round(len(normal) / 9))
    return sorted(normal + defects[::max(1, len(defects) // wanted)][:wanted])


def set_words(settings):
    return [word for setting in settings for word in ("--set", setting)]


def whole(bench, modes_at, controls, earlier=None):
    """The modes for each share of defects, at the rates of an earlier benchmark or the best of their own; controls at 10%."""
    bench.make_data()
    bench.all("cold starts", [lambda s=seed: bench.cold_start(s) for seed in bench.seeds])
    chosen = {}
    for rare, modes in modes_at.items():
        chosen[rare] = {mode: {"rate": earlier["rare"][rare][mode]["rate"]} for mode in modes} if earlier else bench.tune(modes, rare)
        bench.compare("comparison", modes, {mode: one["rate"] for mode, one in chosen[rare].items()}, rare)
    ours = chosen["10%"]["lriad"]["rate"]
    for name, data in zip(controls, ["shuffled", None]):
        bench.compare(f"control: {name}", {name: controls[name]}, {name: ours}, "10%", data)
    show(bench, report.summarise(bench, chosen, list(controls), PROMPTS * GENERATIONS))


def show(bench, result):
    report.write(result, bench.work)
    print((bench.work / "rewards.md").read_text())
    print(f"table    {bench.work}/rewards.md\nfigures  {bench.work}/rewards.json\ncurves   {bench.work}/rewards.svg")


def quick(bench):
    """One seed, two modes, rates that an earlier whole benchmark chose: 1 if ours does not beat the printed method."""
    modes = {mode: MODES[mode] for mode in ("lriad_paper", "lriad")}
    bench.seeds = bench.seeds[:1]
    bench.make_data()
    bench.cold_start(bench.seeds[0])
    bench.compare("comparison", modes, {"lriad_paper": "1e-2", "lriad": "3e-2"}, "10%")
    ends = {mode: report.curve(bench.work / f"final/10/{mode}/{bench.seeds[0]}")[-1] for mode in modes}
    for mode, end in ends.items():
        print(f"{mode}: recall {end['recall']:.3f}, specificity {end['specificity']:.3f}, balanced accuracy {end['balanced_accuracy']:.3f}")
    if ends["lriad"]["balanced_accuracy"] <= ends["lriad_paper"]["balanced_accuracy"]:
        sys.exit("[bench rewards] lriad does not beat lriad_paper")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin-dir", type=pathlib.Path, default=pathlib.Path("build/bin"), help="folder of the programs")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("runs/rewards"), help="folder of everything it makes")
    parser.add_argument("--seed", type=int, default=1, help="first of the seeds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs side by side, one thread each")
    parser.add_argument("--modes", action="store_true", help="only the four modes, no ablation")
    parser.add_argument("--rates", type=pathlib.Path, help="rewards.json of an earlier benchmark: its learning rates, the four modes")
    parser.add_argument("--quick", action="store_true", help="lriad and lriad_paper, one seed: fails if lriad is not better")
    parser.add_argument("--real", type=pathlib.Path, help="folder with ball_screw/{train,test}: the four modes on these photographs instead")
    parser.add_argument("--trial", action="store_true", help="a few steps of everything, to see that all runs")
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    if options.real:
        bench = RealBench(options.bin_dir.resolve(), work, options.seed, options.jobs, options.real.resolve())
        return whole(bench, {"10%": MODES}, {})
    bench = Bench(options.bin_dir.resolve(), work, Trial if options.trial else Sizes, options.seed, options.jobs)
    if options.quick:
        return quick(bench)
    modes_at = {rare: dict(MODES) for rare in RARE}
    if not (options.modes or options.rates):
        modes_at["10%"].update(ABLATIONS)
    whole(bench, modes_at, CONTROLS, json.loads(options.rates.read_text()) if options.rates else None)


if __name__ == "__main__":
    main()
