#!/usr/bin/env bash
# Sets up, builds into build/ and runs every test. Usage: scripts/test.sh [ctest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/build.sh
ctest --test-dir build --output-on-failure --parallel "$(env -u OMP_NUM_THREADS nproc)" "$@"
