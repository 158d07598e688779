#!/usr/bin/env bash
# The whole road in one command on a fresh Debian 12 or Ubuntu 24.04: set-up, build, synthetic images, a tiny model,
# cold start, GRPO, evaluation before and after on parts that neither saw. Asks nothing; safe to run again.
#   RUN_DIR    folder of everything it makes (default runs/smoke)
#   SEED       of data, model and training (default 42)
#   QUICK      1: a few steps only, to see that all runs (used by the tests)
#   BIN_DIR    folder of built programs: no set-up and no build
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/parts.sh
run="${RUN_DIR:-runs/smoke}"
seed="${SEED:-42}"
bin="${BIN_DIR:-build/bin}"
if [ "${QUICK:-0}" != 1 ]; then
  cat <<END
== What follows, and about how long it takes on a CPU of two cores; parts that were finished before are skipped
   set-up 2 min and 2.5 GB to download, build 10 min, images 10 s, cold start 2 to 3 min, GRPO 20 s, evaluations 5 s each
END
fi
[ -n "${BIN_DIR:-}" ] || scripts/build.sh lriad-tool lriad-train lriad-eval

images=1000 faint=100 held_out=100 sft_steps=900 grpo_steps=100
if [ "${QUICK:-0}" = 1 ]; then images=12 faint=6 held_out=4 sft_steps=6 grpo_steps=3; fi
mkdir -p "$run"

# make_data NAME OPTIONS...: a synthetic data set below the run's folder; its options lengthen $made.
made="$seed"
make_data() {
  local name="$1"
  shift
  made="$(fingerprint "$made" "$*")"
  part "$run/$name" "$made" "images: $name" "$bin/lriad-tool" make-data --output "$run/$name" "$@"
}
faintness=(--contrast-min 0.1 --contrast-max 0.5)
make_data clear --format jsonl --images $images --defect-rate 0.4 --contrast-min 0.1 --overlook-below 0.45 --seed "$seed"
make_data faint --images $faint "${faintness[@]}" --seed $((seed + 1))
make_data held_out --objects nut,pcb,cap,cross --images $held_out --defect-rate 0.5 "${faintness[@]}" --seed $((seed + 2))
part "$run/model" "$made" "tiny model" \
  "$bin/lriad-tool" make-model --output "$run/model" --size tiny --dtype float32 --seed "$seed"

sft="$(fingerprint "$made" configs/smoke_sft.yaml $sft_steps)"
part "$run/sft" "$sft" "cold start (stage: sft)" "$bin/lriad-train" --config configs/smoke_sft.yaml \
  --set model.path="$run/model" --set data.root="$run/clear/data.jsonl" --set train.max_steps=$sft_steps \
  --set seed="$seed" --set train.logging_steps=50 --output "$run/sft"

grpo="$(fingerprint "$sft" configs/smoke_grpo.yaml $grpo_steps)"
part "$run/grpo" "$grpo" "GRPO (stage: grpo)" "$bin/lriad-train" --config configs/smoke_grpo.yaml \
  --set model.path="$run/sft" --set data.root="$run/faint" --set train.max_steps=$grpo_steps \
  --set seed="$seed" --output "$run/grpo"

questions=(--config configs/smoke_grpo.yaml --model "$run/sft" --data "$run/held_out" --format mvtec --max-new-tokens 24)
part "$run/before" "$sft" "evaluation before GRPO" evaluate "$run/before" "${questions[@]}"
part "$run/after" "$grpo" "evaluation after GRPO" evaluate "$run/after" "${questions[@]}" --adapter "$run/grpo"

show_table "Before GRPO (cold start), parts and faint defects that it never saw:" "$run/before"
show_table "After GRPO:" "$run/after"
printf '\nBefore (A) against after (B):\n'
"$bin/lriad-eval" --compare "$run/before" "$run/after" --output "$run" | sed -n '/, in percent$/,$p'
cat <<END

model     $run/sft
adapter   $run/grpo/adapter_model.safetensors
answers   $run/before/predictions.jsonl  $run/after/predictions.jsonl
changes   $run/compare.json
reports   $run/before/report/index.html  $run/after/report/index.html
END
