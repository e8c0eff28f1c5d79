"""What an episode starts from: a scene, the roles of its shapes, and what its motors listen to."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

import jax2d
from kinetix_py.spec import SIZES, EnvSpec

if TYPE_CHECKING:
    from kinetix_py.rendering.svg import Drawing

# Arrays of a scene with one row per body, whatever its shape.
BODY_FIELDS = (
    "position",
    "rotation",
    "velocity",
    "angular_velocity",
    "inverse_mass",
    "inverse_inertia",
    "friction",
    "restitution",
    "collision_mode",
    "active",
)
LEVEL_COUNTS = ("num_polygons", "num_circles", "num_joints", "num_thrusters", "max_vertices")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Level:
    """A level; `N` body slots, `J` joint slots, `T` thruster slots as in `jax2d.SimState`.

    A batch of levels has one more axis in front of every array.
    """

    sim: jax2d.SimState  # at the episode's start, no impulses carried over
    role: jax.Array  # int32 [N]   0 none, 1 green, 2 blue, 3 red
    density: jax.Array  # float [N]   kg/m^2
    motor_binding: jax.Array  # int32 [J]   0 .. num_motor_bindings - 1
    motor_auto: jax.Array  # bool [J]    the motor runs by itself, its action is always 1
    thruster_binding: jax.Array  # int32 [T]   0 .. num_thruster_bindings - 1

    @property
    def sizes(self) -> dict[str, int]:
        """Slots of each kind, by the names of `EnvSpec`."""
        sim = self.sim
        return {
            "num_polygons": sim.vertices.shape[-3],
            "num_circles": sim.radius.shape[-1],
            "num_joints": sim.joints.active.shape[-1],
            "num_thrusters": sim.thrusters.active.shape[-1],
            "max_vertices": sim.vertices.shape[-2],
        }

    def show(self, **options: Any) -> Drawing:
        """A drawing, which a notebook shows; of a batch, of the first few levels.

        Args:
          options: of `kinetix_py.render_svg`, such as `legend=True`.

        Raises:
          ValueError: an option out of its bounds, or a level inside `jit` or `vmap`.
        """
        from kinetix_py.rendering.svg import render_svg  # which needs this module

        return render_svg(self, **options)

    def _repr_html_(self) -> str | None:
        """What a notebook shows of a level; None, for the usual text, if its arrays cannot be drawn."""
        try:
            return self.show()._repr_html_()
        except (AttributeError, TypeError, ValueError):
            return None


def empty_level(spec: EnvSpec, gravity: tuple[float, float] = (0.0, -9.81)) -> Level:
    """A room of 5 m x 5 m with its floor at 0.4 m, and nothing in it."""
    scene = jax2d.Scene(spec.sim)
    if spec.walls:
        scene.add_walls()
    scene.set_gravity(gravity)
    return from_scene(scene.build(), spec)


def from_scene(
    sim: jax2d.SimState,
    spec: EnvSpec,
    *,
    role: Sequence[int] | None = None,
    motor_binding: Sequence[int] | None = None,
    motor_auto: Sequence[bool] | None = None,
    thruster_binding: Sequence[int] | None = None,
) -> Level:
    """A level of a scene that `jax2d.Scene(spec.sim)` built.

    Args:
      role: per body slot; all 0 if None.
      motor_binding, motor_auto: per joint slot; binding `slot % num_motor_bindings` and False if None.
      thruster_binding: per thruster slot; `slot % num_thruster_bindings` if None.
    """
    cycle = lambda count, bindings: np.arange(count) % max(bindings, 1)
    pick = lambda value, default, dtype: jnp.asarray(default if value is None else value, dtype)
    return Level(
        sim=sim,
        role=pick(role, np.zeros(spec.num_bodies), jnp.int32),
        density=densities(sim),
        motor_binding=pick(motor_binding, cycle(spec.num_joints, spec.num_motor_bindings), jnp.int32),
        motor_auto=pick(motor_auto, np.zeros(spec.num_joints), bool),
        thruster_binding=pick(
            thruster_binding, cycle(spec.num_thrusters, spec.num_thruster_bindings), jnp.int32
        ),
    )


def densities(sim: jax2d.SimState) -> jax.Array:
    """Mass over area of every body, 1 for static ones: float `[N]` kg/m^2."""
    index = jnp.arange(sim.vertices.shape[-2])
    used = index[None] < sim.num_vertices[:, None]
    closed = jnp.where(used[..., None], sim.vertices, sim.vertices[:, :1])
    here, there = closed, jnp.roll(closed, -1, axis=1)
    polygons = jnp.abs((here[..., 0] * there[..., 1] - here[..., 1] * there[..., 0]).sum(-1)) / 2
    area = jnp.concatenate([polygons, jnp.pi * sim.radius**2])
    divisor = sim.inverse_mass * area
    return jnp.where(divisor > 0, 1 / jnp.where(divisor > 0, divisor, 1), 1.0)


def fits(level: Level, spec: EnvSpec) -> None:
    """Checks that every slot of a level has one in a spec.

    Raises:
      ValueError: naming the count, the level's and the spec's.
    """
    for name, count in level.sizes.items():
        if count > getattr(spec, name):
            raise ValueError(f"level: {name} is {count}, but at most {getattr(spec, name)} fit this size")


def pad_level(level: Level, spec: EnvSpec) -> Level:
    """The same level with more, unused slots; pure, so that it may run inside jit.

    Padding keeps a level's behavior under `contact_order="parallel"`.

    Raises:
      ValueError: the level is larger than the spec in some count.
    """
    fits(level, spec)
    sizes = level.sizes
    if all(count == getattr(spec, name) for name, count in sizes.items()):
        return level
    more = {name: getattr(spec, name) - count for name, count in sizes.items()}
    polygons, old = sizes["num_polygons"], level.sim

    def rows(value, count, axis=0):
        widths = [(0, count if i == axis else 0) for i in range(value.ndim)]
        return jnp.pad(value, widths)

    def bodies(value, fill=0):
        new = jnp.full((spec.num_bodies, *value.shape[1:]), fill, value.dtype)
        new = new.at[:polygons].set(value[:polygons])
        first = spec.num_polygons
        return new.at[first : first + sizes["num_circles"]].set(value[polygons:])

    moved = lambda index: jnp.where(index >= polygons, index + more["num_polygons"], index)
    joints = jax.tree.map(lambda value: rows(value, more["num_joints"]), old.joints)
    joints = dataclasses.replace(joints, body_a=moved(joints.body_a), body_b=moved(joints.body_b))
    thrusters = jax.tree.map(lambda value: rows(value, more["num_thrusters"]), old.thrusters)
    thrusters = dataclasses.replace(thrusters, body=moved(thrusters.body))
    sim = dataclasses.replace(
        old,
        **{name: bodies(getattr(old, name)) for name in BODY_FIELDS},
        vertices=rows(rows(old.vertices, more["num_polygons"]), more["max_vertices"], 1),
        num_vertices=rows(old.num_vertices, more["num_polygons"]),
        radius=rows(old.radius, more["num_circles"]),
        joints=joints,
        thrusters=thrusters,
        contact_impulse=jnp.zeros((jax2d.num_contacts(spec.sim), 2), jnp.float32),
        joint_impulse=jnp.zeros((spec.num_joints, 3), jnp.float32),
    )
    return Level(
        sim=sim,
        role=bodies(level.role),
        density=bodies(level.density, 1),
        motor_binding=rows(level.motor_binding, more["num_joints"]),
        motor_auto=rows(level.motor_auto, more["num_joints"]),
        thruster_binding=rows(level.thruster_binding, more["num_thrusters"]),
    )


def stack_levels(levels: Sequence[Level], spec: EnvSpec | None = None) -> Level:
    """One batch of several levels, padded to one size.

    Args:
      spec: the size; by default the largest count of each kind.

    Raises:
      ValueError: no level, or one that does not fit the spec.
    """
    if not levels:
        raise ValueError("stack_levels needs at least one level, got none")
    if spec is None:
        sizes = [level.sizes for level in levels]
        most: dict[str, Any] = {name: max(size[name] for size in sizes) for name in LEVEL_COUNTS}
        spec = dataclasses.replace(SIZES["s"], **most)
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *(pad_level(level, spec) for level in levels))


def validate_level(level: Level, spec: EnvSpec) -> None:
    """Checks every value of one level on the host.

    Raises:
      jax2d.SceneError: naming the first entity that is wrong, the value and the bound.
      ValueError: the arrays do not fit the spec.
    """
    fits(level, spec)
    level = pad_level(level, spec)
    jax2d.validate(level.sim, spec.sim)
    active = np.asarray(level.sim.active)
    for i in np.flatnonzero(active & ((np.asarray(level.role) < 0) | (np.asarray(level.role) > 3))):
        raise jax2d.SceneError(f"body {i}: role must be in 0 .. 3, got {int(level.role[i])}")
    for i in np.flatnonzero(active & ~(np.isfinite(level.density) & (np.asarray(level.density) > 0))):
        raise jax2d.SceneError(f"body {i}: density must be above 0, got {float(level.density[i]):g}")
    joints, thrusters = level.sim.joints.active, level.sim.thrusters.active
    _check_bindings("joint", "motor_binding", joints, level.motor_binding, spec.num_motor_bindings)
    _check_bindings(
        "thruster", "thruster_binding", thrusters, level.thruster_binding, spec.num_thruster_bindings
    )


def _check_bindings(kind: str, field: str, active, bindings, count: int) -> None:
    active, bindings = np.asarray(active), np.asarray(bindings)
    for i in np.flatnonzero(active & ((bindings < 0) | (bindings >= count))):
        raise jax2d.SceneError(f"{kind} {i}: {field} must be in 0 .. {count - 1}, got {int(bindings[i])}")
