#!/usr/bin/env bash
# A bundle works where it is unpacked: scripts/bundle.sh makes one, and its programs draw images, make a model, train by GRPO on
# two processes, evaluate with a report and start the benchmark of a GPU, in an empty environment, in a mount namespace without the checkout, the libtorch that
# they were built with and the libraries that the bundle carries.
#   BIN_DIR  folder of the built programs
set -euo pipefail

# Inside the namespace: $1 work folder with the bundle, $2 folder to hide, $3 the site-packages that holds libtorch, $4 1 if
# something can be hidden.
run_bundle() {
  local work="$1" checkout="$2" site="$3" hides="$4" library
  bundle="$(echo "$work"/bundle/lriad-*)"
  cd "$work"
  mkdir -p site
  if [ "$hides" = 1 ]; then
    mount --bind "$site" site
    mount -t tmpfs none "$site"
    mount -t tmpfs none "$checkout"
    for library in /usr/lib/*/lib{tbb,openjp2,Lerc,icu*,sentencepiece,yaml-cpp,spdlog,fmt,gif,webp*}.so.*; do
      [ ! -e "$library" ] || mount --bind /dev/null "$library"
    done
  else
    ln -s "$site/torch" "$site/nvidia" site/
  fi
  local run=(env -i PATH=/usr/bin:/bin OMP_NUM_THREADS=1) by_variable=(LRIAD_TORCH="$work/site/torch") by_python=(PYTHONPATH="$work/site")
  "${run[@]}" "${by_variable[@]}" "$bundle/bin/lriad-tool" --quiet make-data --output data --images 4 --defect-rate 0.5 --size 56
  "${run[@]}" "${by_python[@]}" "$bundle/bin/lriad-tool" --quiet make-model --output model --size tiny --dtype float32
  "${run[@]}" "${by_variable[@]}" "$bundle/bin/lriad-train" --quiet --config "$bundle/configs/smoke_grpo.yaml" --devices 2 \
    --set model.path=model --set data.root=data --set train.max_steps=1 --set train.per_device_train_batch_size=2 \
    --set rollout.max_completion_length=8 --output run
  [ -s run/adapter_model.safetensors ]
  "${run[@]}" "${by_variable[@]}" "$bundle/bin/lriad-eval" --quiet --config "$bundle/configs/smoke_grpo.yaml" --model model --adapter run \
    --data data --format mvtec --max-new-tokens 8 --output run/eval >/dev/null
  [ "$(wc -l <run/eval/predictions.jsonl)" -gt 0 ]
  grep -q '</html>' run/eval/report/index.html
  "${run[@]}" "${by_variable[@]}" "$bundle/bin/bench_gpu" parity cpu | grep -q '"passes":true'
}
if [ "${1:-}" = inside ]; then
  run_bundle "${@:2}"
  exit
fi

cd "$(dirname "$0")/../.."
checkout="$PWD"
bin="$(cd "${BIN_DIR:-build/bin}" && pwd)"
command -v zstd >/dev/null || { echo "[bundle] SKIPPED: zstd is missing"; exit 77; }
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
fail() { echo "[bundle] FAILED: $*"; exit 1; }

ZSTD_CLEVEL=12 BIN_DIR="$bin" scripts/bundle.sh "$work/out"  # a tenth of the time for a tenth more bytes
archive="$(echo "$work"/out/*.tar.zst)"
[ "$(stat -c %s "$archive")" -le $((25 << 20)) ] || fail "$archive has more than 25 MiB"
mkdir "$work/bundle"
tar -C "$work/bundle" --zstd -xf "$archive"
bundle="$(echo "$work"/bundle/*)"

torch="$(ldd "$bin/lriad-tool" | awk '$1 == "libtorch_cpu.so" {print $3}')"
torch="$(cd "$(dirname "$torch")/.." && pwd)"
# Nothing points to where it was built; nothing GPL.
for file in "$bundle"/libexec/* "$bundle"/lib/*; do
  if readelf -d "$file" | grep -E 'R(UN)?PATH'; then fail "$file names folders"; fi
  if strings -a "$file" | grep -F -e "$checkout" -e "$(dirname "$torch")" -e "$HOME/"; then fail "$file names folders"; fi
done
[ -z "$(find "$bundle/lib" -name '*jbig*' -o -name '*x265*' -o -name '*poppler*')" ] || fail "a library under the GPL is carried"
for licence in pytorch opencv tiff icu openssl; do [ -s "$bundle/licences/$licence.txt" ] || fail "no licence of $licence"; done

# All of it comes from the bundle, from libtorch, or is the C and C++ run time.
libraries="$bundle/lib:$torch/lib$(printf ':%s' "$torch"/../nvidia/*/lib)"
LD_LIBRARY_PATH="$libraries" ldd "$bundle"/libexec/* >"$work/loaded"
if awk -v own="$bundle/lib/" -v site="$(dirname "$torch")/" '$2 == "=>" && index($3, own) != 1 && index($3, site) != 1' "$work/loaded" |
  grep -Ev '^\s*lib(c|m|dl|rt|pthread|resolv|util|gcc_s|stdc\+\+)\.so'; then
  fail "libraries above come from this machine"
fi

# refused WORDS VARIABLES...: the launcher stops with exit code 2 and one line that holds WORDS.
refused() {
  local words="$1" said code=0
  shift
  said="$(env -i "$@" "$bundle/bin/lriad-tool" --version 2>&1)" || code=$?
  [ "$code" = 2 ] && [ "$(wc -l <<<"$said")" = 1 ] && [[ "$said" == *"$words"*"torch 2.11"*"LRIAD_TORCH"* ]] || fail "exit $code, '$said', expected '$words'"
}
mkdir -p "$work/tools" "$work/other/lib"
for tool in sh readlink dirname basename sed; do ln -s "$(command -v "$tool")" "$work/tools/$tool"; done
refused "there is no python3" PATH="$work/tools"
printf '#!/bin/sh\nexit 1\n' >"$work/tools/python3"
chmod +x "$work/tools/python3"
refused "$work/tools/python3 has no torch" PATH="$work/tools"
refused "LRIAD_TORCH is /nowhere, where lib/libtorch_cpu.so" PATH="$PATH" LRIAD_TORCH=/nowhere
touch "$work/other/lib/libtorch_cpu.so"
printf "__version__ = '2.10.1+cu130'\ncuda: Optional[str] = '13.0'\n" >"$work/other/version.py"
refused "which is torch 2.10.1" PATH="$PATH" LRIAD_TORCH="$work/other"
printf "__version__ = '2.11.0+cpu'\ncuda: Optional[str] = None\n" >"$work/other/version.py"
refused "for CPUs only" PATH="$PATH" LRIAD_TORCH="$work/other"

cp "$0" "$work/test.sh" 2>/dev/null || cp "$checkout/tests/app/bundle_test.sh" "$work/test.sh"
if unshare -rm true 2>/dev/null; then
  unshare -rm bash "$work/test.sh" inside "$work" "$checkout" "$(dirname "$torch")" 1
else
  echo "[bundle] no mount namespaces here: nothing is hidden"
  bash "$work/test.sh" inside "$work" "$checkout" "$(dirname "$torch")" 0
fi
echo "[bundle] unpacked elsewhere it trains on two processes and evaluates"
