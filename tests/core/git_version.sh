#!/usr/bin/env bash
# The revision in the programs is that of the build, not of the configuration, and says "-dirty" for changed files.
set -euo pipefail
source="$(cd "$(dirname "$0")/../.." && pwd)"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
revision() {
  cmake -DSOURCE="$scratch/tree" -DINPUT="$source/cmake/version.cpp.in" -DOUTPUT="$scratch/version.cpp" \
    -P "$source/cmake/git_version.cmake"
  sed -n 's/.*return "\(.*\)";.*/\1/p' "$scratch/version.cpp"
}
expect() { [ "$1" = "$2" ] || { echo "got revision '$1', expected '$2' ($3)"; exit 1; }; }
git_here() { git -C "$scratch/tree" -c user.name=test -c user.email=test@localhost "$@"; }
mkdir "$scratch/tree"
expect "$(revision)" "" "outside a checkout"
git_here init --quiet
echo one >"$scratch/tree/file"
git_here add file
git_here commit --quiet --message first
head="$(git_here rev-parse --short=7 HEAD)"
expect "$(revision)" "$head" "clean"
echo two >"$scratch/tree/file"
expect "$(revision)" "$head-dirty" "changed"
git_here commit --quiet --all --message second
expect "$(revision)" "$(git_here rev-parse --short=7 HEAD)" "next commit, not configured again"
