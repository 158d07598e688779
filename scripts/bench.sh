#!/usr/bin/env bash
# GRPO steps of lriad-train beside TRL's GRPOTrainer and a loop as Visual-RFT published it (tests/bench/grpo_compare.py): seconds,
# memory, language-model rows and tower runs of a step on the same tiny and small models; then the training passes with shared
# prompts beside prompts of their own (bench_prefix; tests/bench/plot_prefix.py draws build/prefix.csv). Takes minutes; a quiet
# machine is needed for figures worth quoting. Usage: scripts/bench.sh [--threads N] [--sizes tiny small]
set -euo pipefail
cd "$(dirname "$0")/.."
deps="${LRIAD_DEPS:-${XDG_CACHE_HOME:-$HOME/.cache}/lriad}"
[ -x build/bin/lriad-train ] || scripts/build.sh lriad-tool lriad-train
oracle="$deps/oracle"
if [ ! -x "$oracle/bin/python" ]; then
  python3 -m venv "$oracle"
  "$oracle/bin/python" -m pip install --quiet --disable-pip-version-check -r tests/bench/requirements.txt
fi
"$oracle/bin/python" tests/bench/grpo_compare.py --bin-dir build/bin --work "$deps/bench" "$@"
scripts/build.sh bench_prefix
build/bin/bench_prefix build/prefix.csv
python3 tests/bench/plot_prefix.py build/prefix.csv build/prefix.svg
