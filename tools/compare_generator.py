"""Compares our random levels with those of Kinetix's generator, drawn by tools/upstream_levels.py.

python -m tools.compare_generator SIZE FILE.npz [SEED] draws as many levels as the file has, plays both on
our engine, and prints a table of means with their difference in standard errors.
"""

from __future__ import annotations

import sys

import jax
import jax.numpy as jnp
import numpy as np

import jax2d
from kinetix_py.generator.sample import sample_levels
from kinetix_py.levels.level import Level, LevelLabels, empty_level
from kinetix_py.sizes import SIZES, LevelSize
from tools import level_statistics as statistics
from tools.level_statistics import Samples

BODY = (
    "position",
    "rotation",
    "inverse_mass",
    "inverse_inertia",
    "friction",
    "restitution",
    "collision_mode",
)
JOINT = {
    "body_a": "a_index",
    "body_b": "b_index",
    "anchor_a": "a_relative_pos",
    "anchor_b": "b_relative_pos",
    "reference_rotation": "rotation",
    "active": "active",
    "weld": "is_fixed_joint",
    "motor_on": "motor_on",
    "motor_speed": "motor_speed",
    "motor_power": "motor_power",
    "limits_on": "motor_has_joint_limits",
    "min_rotation": "min_rotation",
    "max_rotation": "max_rotation",
}
THRUSTER = {"body": "object_index", "anchor": "relative_position"}
THRUSTER |= {"direction": "rotation", "power": "power", "active": "active"}


def read_levels(path: str, size: LevelSize) -> Level:
    """A batch of levels from a file of tools/upstream_levels.py; slots not in use become empty."""
    rows = np.load(path)
    polygons, circles = rows["polygon/active"], rows["circle/active"]
    active = np.concatenate([polygons, circles], axis=1)

    def used(mask, value):
        return np.where(mask.reshape(mask.shape + (1,) * (value.ndim - mask.ndim)), value, 0)

    both = lambda name: np.concatenate([rows[f"polygon/{name}"], rows[f"circle/{name}"]], axis=1)
    of = lambda part, name: used(rows[f"{part}/active"], rows[f"{part}/{name}"])
    roles = np.concatenate([rows["polygon_shape_roles"], rows["circle_shape_roles"]], axis=1)
    empty = jax.tree.map(lambda value: np.broadcast_to(value, (len(active), *value.shape)), empty_level(size))
    resting = {
        name: getattr(empty.sim, name)
        for name in ("velocity", "angular_velocity", "contact_impulse", "joint_impulse")
    }
    sim = jax2d.SimState(
        **{name: used(active, both(name)) for name in BODY},
        **resting,
        active=active,
        vertices=of("polygon", "vertices"),
        num_vertices=of("polygon", "n_vertices"),
        radius=of("circle", "radius"),
        gravity=rows["gravity"],
        joints=jax2d.Joints(**{ours: of("joint", theirs) for ours, theirs in JOINT.items()}),
        thrusters=jax2d.Thrusters(**{ours: of("thruster", theirs) for ours, theirs in THRUSTER.items()}),
    )
    labels = LevelLabels(
        role=used(active, roles),
        density=empty.labels.density,
        motor_binding=used(rows["joint/active"], rows["motor_bindings"]),
        motor_auto=empty.labels.motor_auto,
        thruster_binding=used(rows["thruster/active"], rows["thruster_bindings"]),
    )
    level = Level(sim=sim, labels=labels, size=size)
    return jax.tree.map(lambda value, like: jnp.asarray(value, like.dtype), level, empty)


def samples_of(levels: Level) -> Samples:
    return statistics.structure(levels) | statistics.play(levels)[0]


def table(theirs: Samples, ours: Samples) -> str:
    """Markdown: means, and by how many standard errors of the difference ours is above theirs."""
    lines = ["| | Kinetix | ours | standard errors apart |", "| --- | --- | --- | --- |"]
    for name, (a, b) in {name: (theirs[name], ours[name]) for name in theirs}.items():
        error = np.sqrt(a.var() / len(a) + b.var() / len(b))
        apart = (b.mean() - a.mean()) / error if error else 0.0
        lines.append(f"| {name} | {a.mean():.4f} | {b.mean():.4f} | {apart:+.1f} |")
    return "\n".join(lines)


def main(size: str, path: str, seed: str = "0") -> None:
    theirs = read_levels(path, SIZES[size])
    ours = sample_levels(jax.random.key(int(seed)), theirs.batch_shape[0], size)
    print(f"Size {size.upper()}, {theirs.batch_shape[0]:,} levels each\n")
    print(table(samples_of(theirs), samples_of(ours)), end="\n\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
