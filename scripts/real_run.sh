#!/usr/bin/env bash
# Real photographs on 2 CPU cores: 734 images of ball screws (BSData, laid out as MVTec-AD), a third of the spots on the
# screws kept unseen; tiny random model, cold start, GRPO, evaluation on the unseen spots before and after.
#   scripts/real_run.sh [DATA]     DATA: folder that holds ball_screw/{train,test} (default ../shared/data/ball_screw)
#   RUN_DIR  folder of everything it makes (default runs/ball_screw)
#   BIN_DIR  folder of built programs: no set-up and no build
#   QUICK    1: few images and steps in a temporary folder, to see that all runs; without data exit 77 (skipped)
# Safe to run again: finished parts are kept, interrupted ones go on.
set -euo pipefail
data="$(realpath -m "${1:-$(dirname "$0")/../../shared/data/ball_screw}")"
cd "$(dirname "$0")/.."
source scripts/parts.sh
quick="${QUICK:-0}"
if [ ! -d "$data/ball_screw/test/pitting" ]; then
  echo "[real run] $data has no ball_screw/test/pitting; expected BSData in MVTec-AD's layout: give its folder" >&2
  [ "$quick" = 1 ] && exit 77
  exit 2
fi
bin="${BIN_DIR:-build/bin}"
[ -n "${BIN_DIR:-}" ] || scripts/build.sh lriad-tool lriad-train lriad-eval
run="${RUN_DIR:-runs/ball_screw}"
every=1 sft=() grpo=()
if [ "$quick" = 1 ]; then
  every=24
  sft=(--set train.max_steps=3 --set train.per_device_train_batch_size=4)
  grpo=(--set train.max_steps=2 --set train.per_device_train_batch_size=2)
  if [ -z "${RUN_DIR:-}" ]; then
    run="$(mktemp -d)"
    trap 'rm -rf "$run"' EXIT
  fi
fi

# list_images: a line `spot label path` for each image, or each `every`-th of them. One spot was photographed many
# times: its name (the screw's position and angle, or the whole name of a single image) decides on which side it lies.
list_images() {
  find "$data/ball_screw" -type f -name '*.jpg' -printf 'ball_screw/%P\n' | LC_ALL=C sort | awk -v every="$every" -F/ '
    (NR - 1) % every { next }
    { spot = $NF; sub(/^01_[0-9]+_/, "", spot); sub(/_crop_[0-9]+\.jpg$/, "", spot)
      print spot, ($3 == "good" ? "normal" : "defect"), $0 }'
}

# split FOLDER: train.jsonl and test.jsonl (every third spot), and the images beside them as hard links, or copies where
# the file system has no such links.
split() {
  mkdir -p "$1"
  list_images >"$1/images.txt"
  cut -d' ' -f1 "$1/images.txt" | LC_ALL=C sort -u | awk 'NR % 3 == 2' >"$1/unseen_spots.txt"
  while read -r _ _ image; do
    mkdir -p "$1/$(dirname "$image")"
    ln -f "$data/$image" "$1/$image" 2>/dev/null || cp -f "$data/$image" "$1/$image"
  done <"$1/images.txt"
  awk -v folder="$1" 'NR == FNR { unseen[$1]; next }
    { file = folder "/" ($1 in unseen ? "test" : "train") ".jsonl"
      type = $2 == "defect" ? ", \"defect_type\": \"pitting\"" : ""
      printf "{\"image\": \"%s\", \"object\": \"ball_screw\", \"label\": \"%s\"%s}\n", $3, $2, type >file }
    ' "$1/unseen_spots.txt" "$1/images.txt"
}

mkdir -p "$run"
list="$(list_images)"
made="$(fingerprint "$list")"
part "$run/data" "$made" "split by spots" split "$run/data"
part "$run/model" "tiny" "tiny model" \
  "$bin/lriad-tool" make-model --output "$run/model" --size tiny --dtype float32 --seed 1

cold="$(fingerprint "$made" configs/ball_screw_sft.yaml)"
part "$run/sft" "$cold" "cold start (stage: sft)" "$bin/lriad-train" --config configs/ball_screw_sft.yaml \
  --set model.path="$run/model" --set data.root="$run/data/train.jsonl" "${sft[@]}" --output "$run/sft"

tuned="$(fingerprint "$cold" configs/ball_screw.yaml)"
part "$run/grpo" "$tuned" "GRPO (stage: grpo)" "$bin/lriad-train" --config configs/ball_screw.yaml \
  --set model.path="$run/sft" --set data.root="$run/data/train.jsonl" "${grpo[@]}" --output "$run/grpo"

questions=(--config configs/ball_screw.yaml --model "$run/sft" --data "$run/data/test.jsonl" --format jsonl
           --max-new-tokens 24)
part "$run/before" "$(fingerprint "$cold" configs/ball_screw.yaml)" "evaluation before GRPO" \
  evaluate "$run/before" "${questions[@]}"
part "$run/after" "$tuned" "evaluation after GRPO" evaluate "$run/after" "${questions[@]}" --adapter "$run/grpo"

show_table "Before GRPO (cold start), spots that it never saw:" "$run/before"
show_table "After GRPO:" "$run/after"
cat <<END

Defective screws were photographed later and are more soiled (SOURCE.md of the data), and only they appear in some image
sizes: the figures say that the model tells these images apart, not that it sees each pitting.

model     $run/sft
adapter   $run/grpo/adapter_model.safetensors
figures   $run/before/metrics.json  $run/after/metrics.json
answers   $run/before/predictions.jsonl  $run/after/predictions.jsonl
reports   $run/before/report/index.html  $run/after/report/index.html
END
