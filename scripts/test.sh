#!/usr/bin/env bash
# Sets up, builds into build/ and runs every test; at the end each skipped test says why. Usage: scripts/test.sh [ctest
# arguments], such as -L unit or -R Launcher.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/build.sh
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
code=0
ctest --test-dir build --output-on-failure --parallel "$(env -u OMP_NUM_THREADS nproc)" "$@" | tee "$log" || code=$?
# The reason is the line after GoogleTest's "Skipped", or the last one that a script wrote.
sed -n 's/.* - \(.*\) (Skipped)/\1/p' "$log" | while read -r name; do
  awk -v name="$name" '
    /^[0-9]+\/[0-9]+ Testing: / { wanted = $3 == name; said = 0 }
    after { reason = $0; said = 1 }
    { after = wanted && /: Skipped$/ }
    wanted && /^<end of output>/ && !said { reason = last }
    { last = $0 }
    END { print "[skipped] " name ": " reason }' build/Testing/Temporary/LastTest.log
done
exit "$code"
