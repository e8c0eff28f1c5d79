"""Seeds of evaluations, and the names of the sets of random levels that they draw."""

from __future__ import annotations

# Seed of every evaluation unless another one is asked for, so that all runs are judged on the same levels.
SEED = 100
# Seed of the levels in final tables: nothing should be tuned on them.
FINAL_SEED = 200


def random_set_name(size: str, seed: int) -> str:
    """Returns the name of a set of random levels: `random/s`, with its seed unless that is the usual one."""
    if seed == SEED:
        return f"random/{size}"
    return f"random/{size}-final" if seed == FINAL_SEED else f"random/{size}-seed{seed}"
