#!/usr/bin/env bash
# The published shapes on this machine: makes a random model of the smallest published size (4 to 8 GB in bfloat16), answers one
# image, does one GRPO step, and prints time and peak memory of each. With PYTHON=<a Python with transformers> the answer is compared
# with theirs.
# Usage: [BIN_DIR=build/bin] [PYTHON=...] scripts/real_shapes.sh [FAMILY [FOLDER for the model, kept; default: a temporary one]]
#   FAMILY: qwen2_vl (2B, the default), qwen2_5_vl (3B) or qwen3_vl (2B)
set -euo pipefail
cd "$(dirname "$0")/.."
bin="${BIN_DIR:-build/bin}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
family="${1:-qwen2_vl}"
case "$family" in
  qwen2_vl | qwen3_vl) size=2b ;;
  qwen2_5_vl) size=3b ;;
  *) echo "FAMILY is $family, expected qwen2_vl, qwen2_5_vl or qwen3_vl" >&2; exit 2 ;;
esac
model="${2:-$work/$family-$size}"
export CUDA_VISIBLE_DEVICES=""

# measured NAME COMMAND...: runs it and says its time and peak resident memory.
measured() {
  local name="$1"
  shift
  python3 - "$name" "$@" <<'PY'
import os, resource, subprocess, sys, time
started = time.time()
code = subprocess.run(sys.argv[2:]).returncode
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
print(f"[real shapes] {sys.argv[1]}: exit {code}, {time.time() - started:.1f} s, peak resident memory {peak / 1e9:.2f} GB", flush=True)
sys.exit(code)
PY
}

[ -f "$model/config.json" ] || measured "make-model" "$bin/lriad-tool" make-model --output "$model" --family "$family" --size "$size" --quiet
bytes="$(cat "$model"/*.safetensors | wc -c)"
echo "[real shapes] weights: $(python3 -c "print(f'{$bytes / 1e9:.2f} GB')")"
"$bin/lriad-tool" make-data --output "$work/data" --images 2 --objects bolt washer --defect-rate 0.5 --size 308 --quiet
measured "answer to one image, 8 tokens" "$bin/lriad-eval" --model "$model" --data "$work/data" --format mvtec --limit 1 \
  --max-new-tokens 8 --token-ids --logprobs --output "$work/eval" --set image.max_pixels=100352 --quiet
cat >"$work/step.yaml" <<YAML
stage: grpo
preset: lriad_paper
output_dir: $work/run
model: {path: $model, dtype: bfloat16}
data: {format: mvtec, root: $work/data}
image: {max_pixels: 100352}
rollout: {num_generations: 2, max_completion_length: 8}
grpo: {kl_anchor: base}
train: {max_steps: 1, gradient_accumulation_steps: 1, save_steps: 0}
YAML
measured "one GRPO step, G 2, 8 tokens" "$bin/lriad-train" --config "$work/step.yaml" --devices cpu
if [ -n "${PYTHON:-}" ]; then
  "$PYTHON" scripts/golden/compare_answer.py "$model" "$work/data" "$work/eval/predictions.jsonl"
fi
