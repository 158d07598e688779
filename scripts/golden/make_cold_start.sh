#!/usr/bin/env bash
# The adapter in tests/golden/cold_start, with which the tiny random model keeps the answer's format about every second
# time: 400 steps of stage sft on the model and images that tests/app/training_test.cpp makes.
#   scripts/golden/make_cold_start.sh build/bin tests/golden/cold_start
set -euo pipefail
bin=$(realpath "$1") target=$(realpath -m "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$bin/lriad-tool" make-model --output model --size tiny --seed 5
"$bin/lriad-tool" make-data --output data --format jsonl --images 64 --defect-rate 0.5 --objects gear,ring --size 56 \
  --contrast-min 0.8 --contrast-max 1.0
cat > config.yaml <<'YAML'
stage: sft
output_dir: run
model: {path: model, dtype: float32}
lora:
  r: 4
  lora_alpha: 16
  lora_dropout: 0.0
  target_modules: [q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj]
data: {format: jsonl, root: data/data.jsonl}
image: {min_pixels: 3136, max_pixels: 3136}
optim: {learning_rate: 1.0e-2, warmup_ratio: 0.1}
train: {max_steps: 400, per_device_train_batch_size: 16, gradient_accumulation_steps: 1, save_steps: 0}
log: {tensorboard: false}
distributed: {devices: cpu}
YAML
OMP_NUM_THREADS=1 "$bin/lriad-train" --config config.yaml
mkdir -p "$target"
cp run/adapter_config.json run/adapter_model.safetensors "$target"
