#!/usr/bin/env bash
# Render a manifest on the nodes of a SLURM allocation:
#
#   sbatch --nodes=4 cluster/launch/slurm.sh manifest.parquet --preset preset.yaml
#
# `sonic` and `ray` are looked for in PATH (activate the environment before sbatch), and the preset
# says `cluster.address: auto`. A node that fails takes its workers along and nothing else; a job that
# is preempted is queued again, and goes on where it was.
#SBATCH --job-name=sonic-render
#SBATCH --exclusive
#SBATCH --gpus-per-node=8
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --no-kill
#SBATCH --open-mode=append
set -euo pipefail

if (($# == 0)); then
  echo "usage: sbatch --nodes=N $0 MANIFEST [--preset FILE] [--output FOLDER]" >&2
  exit 2
fi

# This script runs on the first node: it is the head, and its GPUs work too.
host=$(hostname --ip-address)
export RAY_ADDRESS="${host%% *}:${PORT:-6379}"
# A secret of this job; srun hands the environment to the other nodes.
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0

ray start --head --node-ip-address="${RAY_ADDRESS%:*}" --port="${RAY_ADDRESS##*:}"
trap 'ray stop --grace-period 10' EXIT

# A node whose Ray ends joins again for as long as the job lasts.
join() {
  while :; do ray start --address="$RAY_ADDRESS" --block || sleep 5; done
}
export -f join

others=$((SLURM_JOB_NUM_NODES - 1))
if ((others > 0)); then
  srun --nodes="$others" --ntasks="$others" --ntasks-per-node=1 --exclude="$SLURMD_NODENAME" \
    --no-kill --kill-on-bad-exit=0 \
    bash -c join &
fi

# Rendering starts with the workers of this node; those of the others join when they are there.
sonic render "$@"
