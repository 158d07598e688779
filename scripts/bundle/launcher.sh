#!/bin/sh
# Starts the program of this file's name with the libtorch that LRIAD_TORCH or python3 names. bundle.sh fills in the @WORDS@.
set -eu
self=$(readlink -f "$0")
root=$(dirname "$(dirname "$self")")
wanted="torch @TORCH@"
[ "@CUDA@" = none ] || wanted="$wanted for CUDA @CUDA@"
stop() {
  echo "[bundle] $1; this bundle needs $wanted: set LRIAD_TORCH to the folder torch of a Python environment that has it" >&2
  exit 2
}

if [ -n "${LRIAD_TORCH:-}" ]; then
  torch=$LRIAD_TORCH
  said="LRIAD_TORCH is $torch"
else
  python=$(command -v python3) || stop "no libtorch: LRIAD_TORCH is not set, and there is no python3 on PATH to ask for one"
  # Finds the package without loading it, and not in the working folder.
  torch=$("$python" -c '
import sys, importlib.util, os
sys.path = [path for path in sys.path if path]
found = importlib.util.find_spec("torch")
print(os.path.dirname(found.origin) if found and found.origin else "")') || torch=
  [ -n "$torch" ] || stop "no libtorch: LRIAD_TORCH is not set, and $python has no torch"
  said="$python has $torch"
fi
[ -e "$torch/lib/libtorch_cpu.so" ] && [ -e "$torch/version.py" ] || stop "$said, where lib/libtorch_cpu.so or version.py is missing"
version=$(sed -n "s/^__version__ = '\([0-9.]*\).*/\1/p" "$torch/version.py")
cuda=$(sed -n "s/^cuda[^=]*= '\([0-9.]*\)'.*/\1/p" "$torch/version.py")
case $version in
  @TORCH@.*) ;;
  *) stop "$said, which is torch ${version:-of an unknown version}" ;;
esac
[ "@CUDA@" = none ] || [ "$cuda" = "@CUDA@" ] || stop "$said, which is torch $version for ${cuda:+CUDA }${cuda:-CPUs only}"

path=$root/lib:$torch/lib
for folder in "$torch"/../nvidia/*/lib; do
  [ ! -d "$folder" ] || path=$path:$folder
done
LD_LIBRARY_PATH=$path${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
exec "$root/libexec/$(basename "$self")" "$@"
