#!/usr/bin/env bash
# torchrun really starts the program: 2 ranks on one machine, on two that are both this one, and on two that are network
# namespaces with a cable between them (as root). Each result must be that of the program's own launcher, byte for byte.
#   TORCHRUN  torchrun of a Python with torch (default: the one on the PATH; without one this is skipped)
#   BIN_DIR   folder of the built programs (default build/bin)
set -euo pipefail
cd "$(dirname "$0")/../.."
export TORCHRUN="${TORCHRUN:-torchrun}" CUDA_VISIBLE_DEVICES="" OMP_NUM_THREADS=1
bin="$(cd "${BIN_DIR:-build/bin}" && pwd)"
export PROGRAM="$bin/lriad-train"
if ! command -v "$TORCHRUN" >/dev/null; then
  echo "[torchrun] SKIPPED: no torchrun here; TORCHRUN=<venv>/bin/torchrun names one"
  exit 77
fi
work="$(mktemp -d)"
a="lriad-a-$$" b="lriad-b-$$"
clean_up() {
  ip netns delete "$a" 2>/dev/null || true
  ip netns delete "$b" 2>/dev/null || true
  rm -rf "$work"
}
trap clean_up EXIT
"$bin/lriad-tool" --quiet make-model --size tiny --seed 5 --output "$work/model" >/dev/null
"$bin/lriad-tool" --quiet make-data --format jsonl --images 16 --defect-rate 0.5 --size 56 --output "$work/data" >/dev/null
cat >"$work/run.yaml" <<END
stage: grpo
model: {path: $work/model, adapter: tests/golden/cold_start, dtype: float64}
data: {format: jsonl, root: $work/data/data.jsonl}
image: {min_pixels: 3136, max_pixels: 3136}
rollout: {num_generations: 4, max_completion_length: 24}
optim: {learning_rate: 1.0e-3}
train: {max_steps: 3, save_steps: 1}
log: {tensorboard: false}
distributed: {timeout_s: 60}
END

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# same NAME: the run NAME gave what the launcher gave.
same() {
  local file
  for file in adapter_model.safetensors checkpoint-3/state.safetensors completions.jsonl; do
    cmp "$work/launcher/$file" "$work/$1/$file"
  done
  echo "[torchrun] $1: as the launcher's run, byte for byte"
}

# node NAME PREFIX...: one of the two machines of the run NAME, started through PREFIX.
node() {
  local name="$1"
  shift
  timeout 120 "$@" scripts/cluster/torchrun.sh --config "$work/run.yaml" --output "$work/$name" --log-level warning >>"$work/$name.log" 2>&1
}

# both NAME FIRST SECOND: waits for the two processes of the run NAME.
both() {
  local name="$1"
  if wait "$2" && wait "$3"; then
    same "$name"
  else
    tail -n 40 "$work/$name.log"
    exit 1
  fi
}

"$PROGRAM" --config "$work/run.yaml" --devices 2 --output "$work/launcher" --log-level warning

export GPUS=2 NODES=1 MASTER_PORT
MASTER_PORT="$(free_port)"
node one-machine & first=$!
both one-machine $first $first

export GPUS=1 NODES=2
MASTER_PORT="$(free_port)"
node two-on-loopback & first=$!
node two-on-loopback & second=$!
both two-on-loopback $first $second

if ! ip netns add "$a" 2>/dev/null || ! ip netns add "$b" 2>/dev/null || ! ip link add "va$$" netns "$a" type veth peer name "vb$$" netns "$b"; then
  echo "[torchrun] SKIPPED: two network namespaces are not permitted here"
  exit 0
fi
for side in "$a va$$ 10.77.0.1" "$b vb$$ 10.77.0.2"; do
  read -r space link address <<<"$side"
  ip -n "$space" addr add "$address/24" dev "$link"
  ip -n "$space" link set "$link" up
  ip -n "$space" link set lo up
done
export MASTER_ADDR=10.77.0.1 MASTER_PORT=29400
PET_LOCAL_ADDR=10.77.0.1 PET_RDZV_CONF=is_host=1 node two-namespaces ip netns exec "$a" & first=$!
PET_LOCAL_ADDR=10.77.0.2 PET_RDZV_CONF=is_host=0 node two-namespaces ip netns exec "$b" & second=$!
both two-namespaces $first $second
