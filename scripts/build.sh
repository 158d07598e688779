#!/usr/bin/env bash
# Sets up (scripts/setup.sh) and builds everything into build/, as a Release build. Safe to run again.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
# Said each time, as a folder that was made for the programs alone would go on without tests and benchmarks.
cmake -G Ninja -S . -B build -DLRIAD_BUILD_TESTS=ON >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
# nproc heeds OMP_NUM_THREADS, which scripts set to 1 for the tiny models that they train after the build.
cmake --build build --parallel "$(env -u OMP_NUM_THREADS nproc)" -- "${@:-all}"
