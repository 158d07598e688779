#!/usr/bin/env bash
# A GRPO step on one GPU in at most 8 minutes (tests/bench/gpu_compare.py): parity with the CPU, then speed and memory beside two
# loops of transformers, as one table and a JSON file. A bundle (scripts/bundle.sh) carries all of it to machines that have a GPU
# but no compiler or network.
# Usage: scripts/bench_gpu.sh [--dry-run] [--output FILE] [--minutes N] [--work DIR]
#   --dry-run  every part on the CPU with a tiny model: its figures show only that it runs
#   --output   JSON file (default bench_gpu.json)
#   BIN_DIR    folder of built programs (default: build/bin, built if need be; in a bundle its own)
#   PYTHON     has torch, transformers, peft and pillow for the two loops (default python3); without them the loops are left out
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
if [ -e "$root/CMakeLists.txt" ]; then
  bin="${BIN_DIR:-$root/build/bin}"
  [ -n "${BIN_DIR:-}" ] || "$root/scripts/build.sh" lriad-train lriad-tool bench_gpu
else
  bin="${BIN_DIR:-$root/bin}"
fi
export PYTHONDONTWRITEBYTECODE=1
exec "${PYTHON:-python3}" "$root/tests/bench/gpu_compare.py" --bin-dir "$bin" "$@"
