#!/usr/bin/env bash
# What heat maps are worth: a tiny model learns defects of drawn parts of 168 x 168 pixels (6 x 6 cells); its maps are compared with
# the defects' masks on parts that it saw and on parts that it never saw, and those of untrained weights beside them.
#   RUN_DIR    folder of everything it makes (default runs/maps)
#   SEED       of data, model and training (default 42)
#   QUICK      1: a few images and steps, to see that all runs; says nothing about maps
#   BIN_DIR    folder of built programs: no set-up and no build
# Safe to run again: finished parts are kept. Writes maps.md to RUN_DIR and exits 1 if the maps are worse than they should be.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/parts.sh
quick="${QUICK:-0}" run="${RUN_DIR:-runs/maps}" seed="${SEED:-42}" bin="${BIN_DIR:-build/bin}"
[ -n "${BIN_DIR:-}" ] || scripts/build.sh lriad-tool lriad-train lriad-eval
if [ "$quick" = 1 ] && [ -z "${RUN_DIR:-}" ]; then
  run="$(mktemp -d)"
  trap 'rm -rf "$run"' EXIT
fi

images=240 seen=30 unseen=40 steps=900 batch=24
if [ "$quick" = 1 ]; then images=4 seen=2 unseen=2 steps=2 batch=2; fi
mkdir -p "$run"

side=(--size 168)
made="$seed"
make_data() {
  local name="$1"
  shift
  made="$(fingerprint "$made" "$*")"
  part "$run/$name" "$made" "images: $name" "$bin/lriad-tool" make-data --output "$run/$name" "${side[@]}" "$@"
}
make_data train --format jsonl --images $images --defect-rate 0.5 --contrast-min 0.1 --seed "$seed"
make_data seen --masks --images $seen --defect-rate 0.5 --contrast-min 0.6 --seed $((seed + 1))
make_data unseen --masks --objects nut,pcb,cap,cross --images $unseen --defect-rate 0.5 --contrast-min 0.1 --contrast-max 0.5 \
  --seed $((seed + 2))
part "$run/model" "$made" "tiny model" \
  "$bin/lriad-tool" make-model --output "$run/model" --size tiny --dtype float32 --seed "$seed"

settings=(--config configs/smoke_sft.yaml --set image.max_pixels=28224)
sft="$(fingerprint "$made" configs/smoke_sft.yaml $steps $batch)"
part "$run/sft" "$sft" "training" "$bin/lriad-train" "${settings[@]}" --set model.path="$run/model" \
  --set data.root="$run/train/data.jsonl" --set train.max_steps=$steps --set train.per_device_train_batch_size=$batch \
  --set seed="$seed" --set train.logging_steps=50 --output "$run/sft"

maps=(--format mvtec --maps --max-new-tokens 24 --dtype float32 --set data.split=test)
part "$run/maps_seen" "$sft" "maps of seen parts" evaluate "$run/maps_seen" --model "$run/sft" --data "$run/seen" "${maps[@]}"
part "$run/maps_unseen" "$sft" "maps of faint defects of unseen parts" \
  evaluate "$run/maps_unseen" --model "$run/sft" --data "$run/unseen" "${maps[@]}"
part "$run/maps_untrained" "$made" "maps of untrained weights" \
  evaluate "$run/maps_untrained" "${settings[@]}" --model "$run/model" --data "$run/seen" "${maps[@]}"
if [ "$quick" = 1 ]; then judge=(); else judge=(--judge); fi
python3 tests/bench/maps/report.py "$run" "${judge[@]}"
