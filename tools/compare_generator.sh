#!/usr/bin/env bash
# Compares our random levels with those of Kinetix's own generator (kinetix-env 2.0.4, in a virtual environment of
# its own), both played on our engine: what they are made of, and how doing nothing and random actions end.
#
#   tools/compare_generator.sh [SIZES] [LEVELS]      e.g.  tools/compare_generator.sh "s m l" 8192
#   SEED=0 VENV=.venv  are read from the environment
set -euo pipefail
cd "$(dirname "$0")/.."
sizes=${1:-s m l} levels=${2:-8192}
venv=${VENV:-.venv} seed=${SEED:-0}
upstream=.venv-kinetix

if ! "$upstream/bin/python" -c 'import kinetix' 2>/dev/null; then
    "$venv/bin/python" -m venv --clear "$upstream"
    "$upstream/bin/python" -m pip install --quiet "kinetix-env==2.0.4"
fi

drawn=$(mktemp -d)
trap 'rm -rf "$drawn"' EXIT
for size in $sizes; do
    "$upstream/bin/python" tools/upstream_levels.py "$size" "$levels" "$seed" "$drawn/$size.npz"
    echo "drawn: size $size, $levels levels" >&2
    "$venv/bin/python" -m tools.compare_generator "$size" "$drawn/$size.npz" "$seed"
done
