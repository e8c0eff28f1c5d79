#!/usr/bin/env bash
# Times the engine of other commits on one core, one JSON line each: what a change did to the speed.
#
#   scripts/time_commit.sh SIZE NUM_ENVS COMMIT ...      e.g.  scripts/time_commit.sh l 128 HEAD~1 HEAD
set -euo pipefail
cd "$(dirname "$0")/.."
size=$1 count=$2
shift 2
folder=$(mktemp -d)
trap 'rm -rf "$folder"; git worktree prune' EXIT
for commit in "$@"; do
    git worktree add --quiet --detach "$folder/$commit" "$commit"
done
for commit in "$@" "$@"; do # twice, in turn: a machine's speed drifts
    taskset -c 0 "${VENV:-.venv}/bin/python" scripts/time_step.py "$folder/$commit" "$size" "$count"
done
