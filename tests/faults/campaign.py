"""Faults at random moments of runs of two ranks on a tiny model: how do they end, and is the resumed run the same run?

    python3 campaign.py --bin-dir build/bin [--count 20] [--work DIR] [--faults kill-one,disk-full] [--seed 1]

Each trial starts a run, lets a fault happen at a moment that its seed draws, waits for the end, looks at exit code, message
and checkpoints, then starts the same command again without a fault and compares the result with an undisturbed run, byte
by byte. Trials are noted in DIR/trials.jsonl; the same command goes on behind them. Faults that need root, or a file
system that knows immutable folders, are left out elsewhere. Exit code 1: a trial went wrong; its folder is kept.
"""
import argparse
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from trial import EVERY, REPOSITORY, Bench, Relay, Trial

# ------------------------------------------------------------------------------------------------------- faults
# Each returns False if the run was over before the fault could happen, or the fault did not hinder it.

def too_late(process):
    process.kill()
    process.wait()
    return False


def signal_rank(trial, number, codes, *sets, named=True):
    process = trial.start(*sets)
    alive = trial.wait_for_moment(process)
    before, pid = trial.checkpoints(), trial.victim(process)
    if not alive or pid is None:
        return too_late(process)
    os.kill(pid, number)
    trial.finish(process, codes)
    if named:
        trial.expect_cause_named()
    trial.expect_intact(before)
    trial.expect_same_when_resumed()
    return True


def kill_one(trial):
    return signal_rank(trial, signal.SIGKILL, [137])


def stop_one(trial):
    done = signal_rank(trial, signal.SIGSTOP, [2, 137], "distributed.timeout_s=3")
    trial.expect(not done or trial.ended_after < 30, "not found within 30 s")
    return done


def term_one(trial):
    # 0: it came when all was done but the end.
    return signal_rank(trial, signal.SIGTERM, [143, 0], named=False)


def kill_and_restart(trial):
    process = trial.start("distributed.max_restarts=2")
    alive, pid = trial.wait_for_moment(process), trial.victim(process)
    if not alive or pid is None:
        return too_late(process)
    os.kill(pid, signal.SIGKILL)
    trial.finish(process, [0])
    trial.expect_same()
    return True


def signal_all(trial, number, codes):
    process = trial.start()
    alive = trial.wait_for_moment(process)
    before = trial.checkpoints()
    if not alive:
        return too_late(process)
    os.killpg(process.pid, number) if number == signal.SIGKILL else process.send_signal(number)
    trial.finish(process, codes)
    deadline = time.time() + 10
    while trial.has_processes():
        time.sleep(0.01)
        if time.time() > deadline:
            trial.problems.append("ranks outlive their parent")
            break
    trial.expect_intact(before)
    trial.expect_same_when_resumed()
    return True


def kill_all(trial):
    return signal_all(trial, signal.SIGKILL, [-9])


def term_all(trial):
    return signal_all(trial, signal.SIGTERM, [143, -15, 0])


def slowed(trial):
    """A rank that runs a tenth of the time for two seconds is waited for."""
    process = trial.start()
    alive, pid = trial.wait_for_moment(process), trial.victim(process)
    if not alive or pid is None:
        return too_late(process)
    for _ in range(20):
        try:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.09)
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            break
        time.sleep(0.01)
    trial.finish(process, [0])
    trial.expect_same()
    return True


def end_of_space(trial, process):
    """2: said in one line; else the space sufficed."""
    code = trial.finish(process, [0, 2])
    if code == 2:
        text = trial.errors.read_text()
        trial.expect(re.search(r"\[\w+\] .*(No space left|File too large)", text), "the message does not say why")
    return code == 2


def file_limit(trial):
    size = trial.rng.randrange(8_000, 150_000)  # what is said goes to a file too
    process = trial.start(before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    full = end_of_space(trial, process)
    trial.expect_intact({})
    trial.expect_same_when_resumed()
    return full


def disk_full(trial):
    trial.output.mkdir()
    size = trial.rng.randrange(8, 700) * 1024
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(trial.output)], check=True)
    try:
        full = end_of_space(trial, trial.start())
        trial.expect_intact({})
        subprocess.run(["mount", "-o", "remount,size=64m", str(trial.output)], check=True)
        trial.expect_same_when_resumed()
        return full
    finally:
        subprocess.run(["umount", str(trial.output)], check=True)


def vanished(trial):
    process = trial.start()
    alive = trial.wait_for_moment(process) and trial.output.exists()
    if not alive:
        return too_late(process)
    elsewhere = trial.folder / "moved"
    trial.output.rename(elsewhere)
    code = trial.finish(process, [0, 2])
    trial.expect(not trial.output.exists(), "the run made a second folder in the place of the first")
    shutil.rmtree(trial.output, ignore_errors=True)
    elsewhere.rename(trial.output)
    trial.expect_intact({})
    trial.expect_same_when_resumed()
    return code == 2


def read_only(trial):
    process = trial.start()
    alive = trial.wait_for_moment(process) and trial.output.exists()
    before = trial.checkpoints()
    if not alive:
        return too_late(process)
    subprocess.run(["chattr", "+i", str(trial.output)], check=True)
    try:
        code = trial.finish(process, [0, 2])
        trial.expect_intact(before)
    finally:
        subprocess.run(["chattr", "-i", str(trial.output)], check=True)
    trial.expect_same_when_resumed()
    return code == 2


def damaged(trial):
    """A file of the newest checkpoint is cut, changed or lost between two starts."""
    process = trial.start("train.max_steps=6")
    moment = trial.rng.choice([EVERY, 2 * EVERY])
    while process.poll() is None and not (trial.output / f"checkpoint-{moment}" / "DONE").exists():
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    newest = trial.output / max(trial.checkpoints(), key=lambda name: int(name.split("-")[1]))
    path = trial.rng.choice(sorted(file for file in newest.iterdir() if file.is_file()))
    content = bytearray(path.read_bytes())
    way = trial.rng.choice(["cut", "changed", "lost"])
    if way == "changed":
        content[trial.rng.randrange(len(content))] ^= 1 << trial.rng.randrange(8)
    path.unlink() if way == "lost" else path.write_bytes(content[:len(content) // 2] if way == "cut" else content)
    trial.expect_same_when_resumed()
    trial.expect("is damaged and left out" in trial.errors.read_text(), f"no warning of the {way} {path.name}")
    return True


def cut_connection(trial):
    """The connections of rank 1 are closed, or swallow all that is sent."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    relay = Relay(port)
    ranks = []
    for rank, own_port in ((0, port), (1, relay.port)):
        world = {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1",
                 "MASTER_PORT": str(own_port)}
        ranks.append(trial.start("distributed.timeout_s=4", environment=world))
    alive = trial.wait_for_moment(ranks[0]) and relay.pairs
    before = trial.checkpoints()
    if not alive:
        for rank in ranks:
            rank.kill()
            rank.wait()
        return False
    silent = trial.rng.random() < 0.5
    if silent:
        relay.swallow = True
    else:
        relay.cut()
    for rank in ranks:
        trial.finish(rank, [0, 2], limit=30)
    relay.listener.close()
    trial.expect_cause_named()
    trial.expect_intact(before)
    trial.expect_same_when_resumed()
    return ranks[0].returncode == 2


def second_run(trial):
    """Another run in the folder of one that is under way."""
    process = trial.start()
    alive = trial.wait_for_moment(process) and (trial.output / ".lock").exists()
    if not alive:
        return too_late(process)
    other = subprocess.run(trial.command("distributed.devices=cpu"), env=trial.bench.environment, text=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    refused = other.returncode == 2 and "is in use by process" in other.stderr
    over = (trial.output / "adapter_model.safetensors").exists()
    trial.expect(over or refused, "two runs in one folder")
    trial.finish(process, [0])
    trial.expect_same()
    return refused


FAULTS = {"kill-one": kill_one, "kill-all": kill_all, "kill-restart": kill_and_restart, "stop-one": stop_one,
          "term-one": term_one, "term-all": term_all, "slowed": slowed, "cut": cut_connection,
          "file-limit": file_limit, "disk-full": disk_full, "vanished": vanished, "read-only": read_only,
          "damaged": damaged, "second-run": second_run}


# ------------------------------------------------------------------------------------------------------- campaign

def permitted(fault, work):
    """Whether this machine can do it: mounts and immutable folders need root."""
    if fault == "disk-full":
        return os.geteuid() == 0
    if fault == "read-only":
        probe = work / "probe"
        probe.mkdir(exist_ok=True)
        done = subprocess.run(["chattr", "+i", str(probe)], stderr=subprocess.DEVNULL).returncode == 0
        subprocess.run(["chattr", "-i", str(probe)], stderr=subprocess.DEVNULL)
        return done and os.geteuid() == 0
    return True


def run_fault(bench, fault, first_seed, count, notes):
    """Trials until `count` of them met their fault: some are over before it can happen, or it does not hinder them."""
    hits = sum(1 for note in notes if note["hit"])
    seed = max([first_seed - 1] + [note["seed"] for note in notes]) + 1
    while hits < count and seed < first_seed + 10 * count + 20:
        trial = Trial(bench, fault, seed)
        hit = FAULTS[fault](trial)
        note = {"fault": fault, "seed": seed, "hit": bool(hit), "problems": trial.problems,
                "seconds": round(trial.ended_after, 1)}
        with open(bench.work / "trials.jsonl", "a") as log:
            log.write(json.dumps(note) + "\n")
        notes.append(note)
        hits += note["hit"]
        if trial.problems:
            print(f"{fault} seed {seed}: {'; '.join(trial.problems)} ({trial.folder})", flush=True)
        else:
            shutil.rmtree(trial.folder)
        seed += 1
    seeds = [note["seed"] for note in notes]
    print(f"{fault}: {hits} met, {len(notes)} started, seeds {min(seeds)}..{max(seeds)}, "
          f"{sum(1 for note in notes if note['problems'])} with problems", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin-dir", default=REPOSITORY / "build/bin")
    parser.add_argument("--count", type=int, default=20, help="trials of each fault that met it")
    parser.add_argument("--work", type=Path, help="folder to work in and to go on in (default: a temporary one)")
    parser.add_argument("--faults", default=",".join(FAULTS))
    parser.add_argument("--seed", type=int, default=1, help="first seed of each fault")
    options = parser.parse_args()
    work = (options.work or Path(tempfile.mkdtemp(prefix="lriad-faults-"))).resolve()
    work.mkdir(parents=True, exist_ok=True)
    log = work / "trials.jsonl"
    notes = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    bench = Bench(options.bin_dir, work)
    table = []
    for fault in options.faults.split(","):
        own = [note for note in notes if note["fault"] == fault]
        if not permitted(fault, work):
            print(f"{fault}: LEFT OUT, not permitted here")
            continue
        run_fault(bench, fault, options.seed, options.count, own)
        hit = [note for note in own if note["hit"]]
        table.append((fault, len(hit), max([note["seconds"] for note in hit], default=0),
                      sum(1 for note in own if note["problems"])))
    print("\n| fault | trials | longest until all had ended | problems |\n|---|--:|--:|--:|")
    for row in table:
        print("| {} | {} | {} s | {} |".format(*row))
    problems = sum(row[3] for row in table)
    if not options.work and not problems:
        shutil.rmtree(work)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
