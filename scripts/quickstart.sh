#!/usr/bin/env bash
# The whole road in one command on a fresh Debian 12 or Ubuntu 24.04: set-up, build, synthetic pictures, a tiny model,
# cold start, GRPO, evaluation before and after on parts that neither saw. Asks nothing; safe to run again.
#   LRIAD_RUN    folder of everything it makes (default runs/smoke)
#   LRIAD_SEED   of data, model and training (default 42)
#   LRIAD_QUICK  1: a few steps only, to see that all runs (used by the tests)
#   LRIAD_BIN    folder of built programs: no set-up and no build
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/parts.sh
run="${LRIAD_RUN:-runs/smoke}"
seed="${LRIAD_SEED:-42}"
bin="${LRIAD_BIN:-build/bin}"
[ -n "${LRIAD_BIN:-}" ] || scripts/build.sh lriad-tool lriad-train lriad-eval

pictures=1000 faint=100 held_out=100 sft_steps=600 grpo_steps=60
if [ "${LRIAD_QUICK:-0}" = 1 ]; then pictures=12 faint=6 held_out=4 sft_steps=6 grpo_steps=3; fi
mkdir -p "$run"

echo "== synthetic pictures and a tiny model"
faintness=(--contrast-min 0.1 --contrast-max 0.5)
"$bin/lriad-tool" make-data --output "$run/clear" --format jsonl --images $pictures --defect-rate 0.3 --seed "$seed"
"$bin/lriad-tool" make-data --output "$run/faint" --images $faint "${faintness[@]}" --seed $((seed + 1))
"$bin/lriad-tool" make-data --output "$run/held_out" --objects nut,pcb,cap,cross --images $held_out --defect-rate 0.5 \
  "${faintness[@]}" --seed $((seed + 2))
made="$(fingerprint "$seed" "$run"/{clear,faint,held_out}/make_data.json)"
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
cat <<END

model     $run/sft
adapter   $run/grpo/adapter_model.safetensors
answers   $run/before/predictions.jsonl  $run/after/predictions.jsonl
reports   $run/before/report/index.html  $run/after/report/index.html
END
