"""Draws random levels with Kinetix's own generator: python tools/upstream_levels.py SIZE COUNT SEED FILE.npz.

The file has arrays `[COUNT, ...]` by the names of Kinetix's state, with a slash between the parts of a name.
Runs in an environment of its own: see tools/compare_generator.sh.
"""

from __future__ import annotations

import sys

import jax
import numpy as np
from flax.serialization import to_state_dict
from jax2d.engine import PhysicsEngine
from kinetix.environment.env_state import EnvParams, StaticEnvParams
from kinetix.environment.ued.distributions import sample_kinetix_level
from kinetix.environment.ued.ued_state import UEDParams

# Polygons, circles, joints and thrusters of each size.
SIZES = {"s": (5, 2, 1, 1), "m": (6, 3, 2, 2), "l": (12, 4, 6, 2)}
BLOCK = 256  # levels of one call
PARTS = ("polygon", "circle", "joint", "thruster")
ARRAYS = ("gravity", "polygon_shape_roles", "circle_shape_roles", "motor_bindings", "thruster_bindings")


def main(size: str, count: str, seed: str, path: str) -> None:
    polygons, circles, joints, thrusters = SIZES[size]
    static = StaticEnvParams().replace(
        num_polygons=polygons, num_circles=circles, num_joints=joints, num_thrusters=thrusters
    )
    engine = PhysicsEngine(static)
    draw = jax.jit(jax.vmap(lambda key: sample_kinetix_level(key, engine, EnvParams(), static, UEDParams())))
    keys = jax.random.split(jax.random.PRNGKey(int(seed)), int(count))
    blocks = [to_state_dict(jax.device_get(draw(keys[i : i + BLOCK]))) for i in range(0, len(keys), BLOCK)]
    whole = jax.tree.map(lambda *rows: np.concatenate(rows), *blocks)
    arrays = {name: whole[name] for name in ARRAYS}
    arrays |= {f"{part}/{name}": rows for part in PARTS for name, rows in whole[part].items()}
    np.savez_compressed(path, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
