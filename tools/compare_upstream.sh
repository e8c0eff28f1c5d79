#!/usr/bin/env bash
# Compares this engine with Jax2D 1.0.2 on the same random scenes, on the same machine, in turn. Both are run
# with the batch split over DEVICES host devices by shard_map; Jax2D also on one device, as it comes.
# Makes a virtual environment beside ours at the same jax version (Jax2D also needs chex, which it does not
# say) and prints a table of ratios.
#
#   tools/compare_upstream.sh [SIZES] [NUM_ENVS ...]      e.g.  tools/compare_upstream.sh "s m l" 256 1024
#   DEVICES=2 STEPS=64 UPSTREAM_STEPS=16 SEED=0 VENV=.venv  are read from the environment
set -euo pipefail
cd "$(dirname "$0")/.."
sizes=${1:-s m l}
shift || true
counts=${*:-256 1024}
venv=${VENV:-.venv}
upstream=.venv-upstream
devices=${DEVICES:-2} steps=${STEPS:-64} upstream_steps=${UPSTREAM_STEPS:-16} seed=${SEED:-0}
jax=$("$venv/bin/python" -c 'import jax; print(jax.__version__)')

if [ "$("$upstream/bin/python" -c 'import jax; print(jax.__version__)' 2>/dev/null)" != "$jax" ]; then
    "$venv/bin/python" -m venv --clear "$upstream"
    "$upstream/bin/python" -m pip install --quiet "jax==$jax" "jax2d==1.0.2" chex
fi

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
for size in $sizes; do
    for count in $counts; do
        file="$results/$size.$count"
        "$venv/bin/python" -m agents.cli.main benchmark engine --size "$size" --num-envs "$count" \
            --steps "$steps" --seed "$seed" --devices "$devices" --save-scenes "$file.npz" >"$file.ours"
        "$venv/bin/python" -m agents.cli.main benchmark engine --size "$size" --num-envs "$count" \
            --steps "$steps" --seed "$seed" --devices "$devices" --contact-order kinetix >"$file.exact"
        "$upstream/bin/python" tools/upstream_benchmark.py "$file.npz" \
            --devices "$devices" --steps "$upstream_steps" >"$file.upstream"
        "$upstream/bin/python" tools/upstream_benchmark.py "$file.npz" \
            --devices 1 --steps "$upstream_steps" >"$file.single"
        echo "measured: size $size, $count environments" >&2
    done
done
"$venv/bin/python" -m tools.compare_table "$results"
