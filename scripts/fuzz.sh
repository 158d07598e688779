#!/usr/bin/env bash
# Fuzzes every reader of something from outside (tests/fuzz) under address and undefined behaviour sanitizers and prints
# a table. Usage: scripts/fuzz.sh [SECONDS for each target, default 60] [TARGET...]. With clang++, libFuzzer guides the
# targets that do without torch; the others, or all, are driven by tests/fuzz/driver.cpp with SEED (default 1).
# JOBS targets run side by side (default: one a core). Inputs that fail stay in build/fuzz/findings; then the exit code is 1.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
seconds="${1:-60}"
shift || true
wanted=" $* "
root="$PWD/build/fuzz"
export OMP_NUM_THREADS=1
export ASAN_OPTIONS="max_allocation_size_mb=2000:${ASAN_OPTIONS:-}" UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS:-}"
memory="$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)")"
trap 'rm -rf "$memory"' EXIT

# build KIND PROGRAM CMAKE_ARGUMENTS...: one program of the build folder build/fuzz/KIND.
build() {
  local kind="$1" program="$2" log="$root/$1.log"
  shift 2
  mkdir -p "$root/$kind"
  { cmake -G Ninja -S . -B "$root/$kind" -DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1" \
      -DLRIAD_SANITIZE=address,undefined "$@" && cmake --build "$root/$kind" --target "$program"; } >"$log" 2>&1 ||
    { tail -n 50 "$log" >&2; exit 2; }
}

# fuzz PROGRAM TARGET SEED_FILES...: prints the target's line of the table; fails if there is a finding.
fuzz() {
  local program="$1" target="$2" kind=driver
  shift 2
  local folder="$root/findings/$target" log="$root/findings/$target.log" options=(-max_total_time="$seconds" -seed="${SEED:-1}")
  mkdir -p "$folder" "$memory/$target"
  if [ "$program" = fuzz_data ] && [ "$libfuzzer" = 1 ]; then
    kind=libfuzzer
    options+=(-entropic=0 -rss_limit_mb=4000 -timeout=120 -max_len=4096 "$memory/$target")
  fi
  if (cd "$folder" && LRIAD_FUZZ_TARGET="$target" "$root/$kind/bin/$program" "${options[@]}" "$@") >"$log" 2>&1; then
    printf '%-16s %-10s %12s %9s\n' "$target" "$kind" "$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log")" 0
    rmdir "$folder" 2>/dev/null || true  # inputs that failed in an earlier run stay
  else
    printf '%-16s %-10s %12s %9s\n' "$target" "$kind" "see $log" 1
    return 1
  fi
}

build driver fuzz_model
libfuzzer=0
if command -v clang++ >/dev/null; then
  libfuzzer=1
  build libfuzzer fuzz_data -DCMAKE_CXX_COMPILER=clang++ -DLRIAD_LIBFUZZER=ON
else
  build driver fuzz_data
fi
findings=0 running=0 jobs="${JOBS:-$(env -u OMP_NUM_THREADS nproc)}"
printf '%-16s %-10s %12s %9s\n' target driver executions findings
while read -r program target seeds; do
  [[ "$wanted" =~ ^\ *$ || "$wanted" == *" $target "* ]] || continue
  if [ "$running" -lt "$jobs" ]; then running=$((running + 1)); else wait -n || findings=1; fi
  # shellcheck disable=SC2086 -- the seeds are several words
  fuzz "$program" "$target" $seeds </dev/null &
done <"$root/driver/fuzz_targets.txt"
while [ "$running" -gt 0 ]; do
  wait -n || findings=1
  running=$((running - 1))
done
exit "$findings"
