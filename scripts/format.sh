#!/usr/bin/env bash
# Checks that all C++ and CUDA sources are formatted as .clang-format says, and names those that are not; --fix rewrites them.
# Versions of clang-format differ in details, so it has to be 14 (package clang-format-14 of Debian 12 and Ubuntu 24.04).
# Usage: scripts/format.sh [--fix]
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
  "") options=(--dry-run --Werror) ;;
  --fix) options=(-i) ;;
  *) echo "[format] unknown option $1, expected none or --fix" >&2; exit 2 ;;
esac
tool="$(command -v clang-format-14 || command -v clang-format || true)"
if [ -z "$tool" ] || ! "$tool" --version | grep -q 'version 14\.'; then
  echo "[format] no clang-format 14 found: install the package clang-format-14" >&2
  exit 77  # ctest shows the check as skipped
fi
find cmake include src tests -type f \( -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' \) -print0 |
  xargs -0 -P "$(nproc)" -n 40 "$tool" "${options[@]}" || {
    echo "[format] the lines above are not as .clang-format says: scripts/format.sh --fix rewrites them" >&2
    exit 1
  }
