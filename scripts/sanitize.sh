#!/usr/bin/env bash
# Runs unit tests under address and undefined behaviour sanitizers, and those of threads and ranks under the thread
# sanitizer. Usage: scripts/sanitize.sh [all]. Without `all` the first part takes only the folders that do without
# libtorch, which are soon built.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
export OMP_NUM_THREADS=1
tests=(core config text vision data)
[ "${1:-}" != all ] || tests+=(dist kernels model generation grpo eval run health train)

# check SANITIZERS TEST...: builds the test programs of these folders into a build folder of their own and runs them.
check() {
  local sanitizers="$1" build="build/sanitize/${1%%,*}" started=$SECONDS
  shift
  cmake -G Ninja -S . -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1" \
    -DLRIAD_SANITIZE="$sanitizers" >/dev/null
  cmake --build "$build" --parallel "$(env -u OMP_NUM_THREADS nproc)" --target "${@/%/_test}"
  for name in "$@"; do
    echo "[sanitize] $sanitizers: ${name}_test"
    # The sanitizers' own dlopen does not look where the program's libraries lie, so the CUDA half is not found.
    "$build/bin/${name}_test" --gtest_brief=1 --gtest_filter=-Gpus.TheCudaHalf*
  done
  echo "[sanitize] $sanitizers: nothing found in $*, $((SECONDS - started)) s"
}

export ASAN_OPTIONS="max_allocation_size_mb=2000:${ASAN_OPTIONS:-}" UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS:-}"
check address,undefined "${tests[@]}"
# The worker threads of OpenMP inside libtorch are not built for it: one thread has none.
export TSAN_OPTIONS="suppressions=$PWD/cmake/tsan.supp:${TSAN_OPTIONS:-}"
check thread data dist
