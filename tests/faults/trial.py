"""What a trial of campaign.py works with: the undisturbed run, a run that something may happen to, and a relay."""
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

STEPS, EVERY = 6, 2
COMPARED = ("adapter_model.safetensors", f"checkpoint-{STEPS}/adapter_model.safetensors",
            f"checkpoint-{STEPS}/state.safetensors", "completions.jsonl")
LOST = re.compile(r"rank \d+ on \S+ (\(last heartbeat [\d.]+ s ago at [^)]+\)|left because).*"
                  r"rank \d+ on \S+ noticed in \w+ of [^(]+\((start|step \d+, \w+)\)")
REPOSITORY = Path(__file__).resolve().parents[2]


class Bench:
    """Model, data, config and the undisturbed run that all trials are compared with."""

    def __init__(self, bin_dir, work):
        self.work, self.program = work, Path(bin_dir).resolve() / "lriad-train"
        self.environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
        self.config, self.reference = work / "run.yaml", work / "reference"
        tool = [str(self.program.parent / "lriad-tool"), "--quiet"]
        shutil.rmtree(self.reference, ignore_errors=True)
        for name, words in (("model", ["make-model", "--size", "tiny", "--seed", "5"]),
                            ("data", ["make-data", "--format", "jsonl", "--images", "32", "--defect-rate", "0.5",
                                      "--size", "56"])):
            if not (work / name).exists():
                subprocess.run(tool + words + ["--output", str(work / name)], check=True, stdout=subprocess.DEVNULL)
        self.config.write_text(
            f"stage: grpo\nmodel: {{path: {work}/model, adapter: {REPOSITORY}/tests/golden/cold_start, dtype: float32}}\n"
            f"data: {{format: jsonl, root: {work}/data/data.jsonl}}\nimage: {{min_pixels: 3136, max_pixels: 3136}}\n"
            "rollout: {num_generations: 4, max_completion_length: 24}\noptim: {learning_rate: 1.0e-3}\n"
            f"train: {{max_steps: {STEPS}, save_steps: {EVERY}, token_budget: 4096}}\ndistributed: {{timeout_s: 30}}\n")
        start = time.time()
        subprocess.run([str(self.program), "--config", str(self.config), "--output", str(self.reference), "--devices",
                        "2", "--quiet"], check=True, env=self.environment)
        self.seconds = time.time() - start


class Trial:
    """A run in a folder of its own; what happens to it is drawn from a seed."""

    def __init__(self, bench, fault, seed):
        self.bench, self.fault, self.seed = bench, fault, seed
        self.rng = random.Random(f"{fault} {seed}")
        self.folder = bench.work / f"{fault}-{seed}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.output = self.folder / "run"
        self.errors = self.folder / "stderr.txt"
        self.problems = []
        self.ended_after = 0  # seconds until all had ended, of the start that met the fault

    def command(self, *sets, output=None):
        words = [str(self.bench.program), "--config", str(self.bench.config), "--output", str(output or self.output)]
        for one in sets:
            words += ["--set", one]
        return words

    def start(self, *sets, environment=None, before=None, devices="2"):
        with open(self.errors, "a") as errors:
            return subprocess.Popen(self.command(f"distributed.devices={devices}", *sets), stdout=subprocess.DEVNULL,
                                    stderr=errors, env={**self.bench.environment, **(environment or {})},
                                    preexec_fn=before, start_new_session=True)

    def steps_done(self):
        log = self.output / "metrics.jsonl"
        return log.read_bytes().count(b"\n") if log.exists() else 0

    def wait_for_moment(self, process):
        """Until a random time of the run, or a random step and a little more. False: the result is written already."""
        if self.rng.random() < 0.4:
            time.sleep(self.rng.uniform(0, self.bench.seconds))
        else:
            wanted = self.rng.randrange(STEPS)
            while process.poll() is None and self.steps_done() < wanted:
                time.sleep(0.001)
            time.sleep(self.rng.uniform(0, 0.1))
        return process.poll() is None and not (self.output / COMPARED[0]).exists()

    def victim(self, process):
        """The process id of a random rank, or None if not all have been started."""
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        ranks = [int(word) for word in children.read_text().split()] if children.exists() else []
        return ranks[self.rng.randrange(2)] if len(ranks) == 2 else None

    def expect(self, held, problem):
        if not held:
            self.problems.append(problem)

    def finish(self, process, codes, limit=60):
        """Waits for the end; the exit code must be one of `codes`."""
        start = time.time()
        try:
            code = process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self.problems.append(f"still running after {limit} s")
            return None
        self.ended_after = self.ended_after or time.time() - start
        self.expect(code in codes, f"exit code {code}, expected {codes}")
        return code

    def expect_cause_named(self):
        """Those that are left say whom they lost, where, and what they were waiting for: from when the ranks have met
        until the result is written and nobody needs the other any more."""
        text = self.errors.read_text()
        if "noticed in" in text or (self.steps_done() > 0 and not (self.output / COMPARED[0]).exists()):
            self.expect(LOST.search(text), "no rank, host, heartbeat, collective or step in the message")

    def has_processes(self):
        """Whether a process of the run is left."""
        for words in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if str(self.output).encode() in words.read_bytes().split(b"\0"):
                    return True
            except OSError:
                pass
        return False

    def checkpoints(self):
        """Contents of the finished checkpoints, by name."""
        found = {}
        for done in self.output.glob("checkpoint-*/DONE"):
            if not done.is_file():
                continue
            files = sorted(path for path in done.parent.rglob("*") if path.is_file())
            found[done.parent.name] = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
        return found

    def expect_intact(self, before):
        """Checkpoints that were there are there as they were, and all that are there keep their sums."""
        after = self.checkpoints()
        self.expect(all(after.get(name) == sums for name, sums in before.items()), "an older checkpoint has changed")
        for name in after:
            listed = json.loads((self.output / name / "DONE").read_text())["files"]
            whole = all(hashlib.sha256((self.output / name / file).read_bytes()).hexdigest() == entry["sha256"]
                        for file, entry in listed.items())
            self.expect(whole, f"{name} is damaged")

    def expect_same_when_resumed(self):
        process = self.start()
        self.finish(process, [0])
        self.expect_same()

    def expect_same(self):
        for name in COMPARED:
            path, reference = self.output / name, self.bench.reference / name
            self.expect(path.exists() and path.read_bytes() == reference.read_bytes(), f"{name} differs after resuming")


class Relay:
    """Carries the connections of a rank to rank 0 until it is told to cut or to swallow them."""

    def __init__(self, port):
        self.target, self.swallow, self.pairs = port, False, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = None
            while far is None:
                try:
                    far = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    time.sleep(0.01)
            self.pairs += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(a, b), daemon=True).start()

    def carry(self, source, target):
        try:
            while data := source.recv(1 << 16):
                if not self.swallow:
                    target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def cut(self):
        for one in self.pairs:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
