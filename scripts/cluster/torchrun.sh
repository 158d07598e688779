#!/usr/bin/env bash
# A run on several machines by torchrun: call this with the same settings on each of them.
#   NODES=2 MASTER_ADDR=node1 scripts/cluster/torchrun.sh --config configs/mvtec.yaml
# Every machine needs the same program, config, data and model at the same paths; the ranks compare them before the first
# step and name what differs. Rank 0 writes the run folder: it must be shared by all machines, since any of them may be the
# first after a restart. The same command again goes on from the last checkpoint.
#   NODES        machines (default 1)
#   GPUS         processes on this machine, one a GPU (default gpu: all that are visible)
#   MASTER_ADDR  the machine where ranks meet; MASTER_PORT: a free port there (default 127.0.0.1, 29400)
#   RUN_ID       any word that is the run's own: ranks of another run are refused (default lriad)
#   RESTARTS     times that all ranks start again when one is lost (default 3)
#   PROGRAM      the program (default build/bin/lriad-train of this checkout)
# Other options of torchrun are read from PET_<OPTION>; where host names lead nowhere, PET_LOCAL_ADDR=<own address> on all
# machines and PET_RDZV_CONF=is_host=1 on MASTER_ADDR help.
set -euo pipefail
here="$(cd "$(dirname "$0")/../.." && pwd)"
exec "${TORCHRUN:-torchrun}" --no-python \
  --nnodes "${NODES:-1}" --nproc-per-node "${GPUS:-gpu}" \
  --rdzv-backend c10d --rdzv-endpoint "${MASTER_ADDR:-127.0.0.1}:${MASTER_PORT:-29400}" --rdzv-id "${RUN_ID:-lriad}" \
  --max-restarts "${RESTARTS:-3}" \
  "${PROGRAM:-$here/build/bin/lriad-train}" "$@"
