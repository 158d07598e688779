#!/usr/bin/env bash
# Programs start without the CUDA half of libtorch, and can find it: libtorch_cuda is not among the libraries they need, and its
# folder is on the path in which they look for libraries.
set -euo pipefail
for program in lriad-train lriad-eval lriad-tool; do
  dynamic="$(readelf -d "$BIN_DIR/$program")"
  grep -q 'NEEDED.*libtorch_cpu\.so' <<<"$dynamic" || { echo "$program does not need libtorch_cpu"; exit 1; }
  if grep -q 'NEEDED.*libtorch_cuda\.so' <<<"$dynamic"; then echo "$program loads libtorch_cuda at every start"; exit 1; fi
  folders="$(sed -n 's/.*R\(UN\)*PATH.*\[\(.*\)\]/\2/p' <<<"$dynamic" | tr ':' '\n')"
  found=0
  while read -r folder; do [ -e "$folder/libtorch_cpu.so" ] && found=1; done <<<"$folders"
  [ "$found" = 1 ] || { echo "$program has no path to libtorch: $folders"; exit 1; }
done
echo "three programs start on the CPU half and know where the other lies"
