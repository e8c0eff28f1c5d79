#!/usr/bin/env bash
# Records outputs of Kinetix's own transformer (kinetix-env 2.0.4, in a virtual environment of its own) on the
# library's levels of size m, with random parameters, into tests/data/kinetix_network.npz. A test compares
# `kind="kinetix"` with it.
#
#   tools/record_kinetix_network.sh [FILE]
#   SEED=0 VENV=.venv KINETIX_VENV=build/venv-kinetix  are read from the environment
set -euo pipefail
cd "$(dirname "$0")/.."
file=${1:-tests/data/kinetix_network.npz}
venv=${VENV:-.venv} kinetix=${KINETIX_VENV:-build/venv-kinetix} seed=${SEED:-0}

if ! "$kinetix/bin/python" -c 'import kinetix' 2>/dev/null; then
    "$venv/bin/python" -m venv --clear "$kinetix"
    "$kinetix/bin/python" -m pip install --quiet "kinetix-env==2.0.4" "jax2d==1.0.1" "jax==0.9.0"
fi

levels=$(mktemp -d)
trap 'rm -rf "$levels"' EXIT
PYTHONPATH=. "$venv/bin/python" tools/record_kinetix_episodes.py levels m "$levels"
"$kinetix/bin/python" tools/record_kinetix_network.py "$levels" "$file" "$seed"
