#!/usr/bin/env bash
# Records episodes of the library's levels in Kinetix's own environment (kinetix-env 2.0.4, in a virtual
# environment of its own): random actions and what came of them, into tests/data/kinetix_episodes/SIZE.npz.
# The parity test plays the same actions in this package's environment. Takes about ten minutes on one core.
#
#   tools/record_kinetix_episodes.sh [SIZES] [FOLDER]      e.g.  tools/record_kinetix_episodes.sh "s m l"
#   SEED=0 VENV=.venv KINETIX_VENV=build/venv-kinetix  are read from the environment
set -euo pipefail
cd "$(dirname "$0")/.."
sizes=${1:-s m l} folder=${2:-tests/data/kinetix_episodes}
venv=${VENV:-.venv} kinetix=${KINETIX_VENV:-build/venv-kinetix} seed=${SEED:-0}

if ! "$kinetix/bin/python" -c 'import kinetix' 2>/dev/null; then
    "$venv/bin/python" -m venv --clear "$kinetix"
    "$kinetix/bin/python" -m pip install --quiet "kinetix-env==2.0.4" "jax2d==1.0.1" "jax==0.9.0"
fi

levels=$(mktemp -d)
trap 'rm -rf "$levels"' EXIT
mkdir -p "$folder"
for size in $sizes; do
    PYTHONPATH=. "$venv/bin/python" tools/record_kinetix_episodes.py levels "$size" "$levels/$size"
    "$kinetix/bin/python" tools/record_kinetix_episodes.py episodes "$levels/$size" "$folder/$size.npz" "$seed"
done
