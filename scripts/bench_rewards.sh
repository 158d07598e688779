#!/usr/bin/env bash
# Which reward finds the rare defects with how many rollouts: lriad_paper, visual_rft, trl_dapo, lriad and single changes between
# them, each at its own best learning rate, 5 seeds, 10% and 3% defects (tests/bench/README.md has the figures).
#   scripts/bench_rewards.sh [--quick] [--modes] [--seed N] [--jobs N] [--work FOLDER] [--real DATA]      (--help says more)
#   BIN_DIR   folder of built programs: no set-up and no build
# Safe to run again: finished parts are kept. Writes rewards.json, rewards.md and rewards.svg to the folder of its work.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${BIN_DIR:-}" ] || scripts/build.sh lriad-tool lriad-train lriad-eval
python3 tests/bench/rewards/bench.py --bin-dir "${BIN_DIR:-build/bin}" "$@"
