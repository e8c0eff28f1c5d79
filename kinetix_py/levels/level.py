"""Levels: the scene that an episode starts from, the roles of its shapes, and the bindings of its motors."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

import jax2d
from jax2d.fields import ArrayFields, array, field_specs
from kinetix_py.levels.rules import PLAIN, Rules, plain_rules, rule_dimensions, validate_rules
from kinetix_py.roles import NUM_ROLES
from kinetix_py.sizes import LevelSize, as_size, largest

if TYPE_CHECKING:
    from kinetix_py.edit.notebook import LevelEditor
    from kinetix_py.env.types import EnvState
    from kinetix_py.rendering.svg import Drawing


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LevelLabels(ArrayFields):
    """Labels that the game adds to a scene: roles and densities of bodies, bindings of actuators."""

    role: jax.Array = array("N", dtype=np.int32, low=0, high=3, doc="0 none, 1 green, 2 blue, 3 red")
    density: jax.Array = array("N", unit="kg/m^2", low=0, doc="mass over area; 1 for static bodies")
    motor_binding: jax.Array = array("J", dtype=np.int32, low=0, doc="binding that drives the motor")
    motor_auto: jax.Array = array("J", dtype=bool, doc="the motor runs by itself, its action is always 1")
    thruster_binding: jax.Array = array("T", dtype=np.int32, low=0, doc="binding that fires the thruster")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Level:
    """A level; `N` body slots, `J` joint slots, `T` thruster slots as in `jax2d.SimState`.

    A batch of levels has one more axis in front of every array.
    """

    sim: jax2d.SimState  # at the episode's start, no impulses carried over
    labels: LevelLabels
    size: LevelSize = dataclasses.field(metadata={"static": True})
    rules: Rules | None = None  # None: the plain game

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Axes in front of those of one level."""
        return tuple(self.labels.role.shape[:-1])

    def show(self, **options: Any) -> Drawing:
        """Draws the level for a notebook; of a batch, the first few levels.

        Args:
          options: options of `kinetix_py.render_svg`, such as `legend=True`.

        Raises:
          ValueError: an option out of its bounds, or a level inside `jit` or `vmap`.
        """
        from kinetix_py.rendering.svg import render_svg  # which needs this module

        return render_svg(self, **options)

    def edit(self, **options: Any) -> LevelEditor:
        """Opens the editor on the level, in a frame of the notebook.

        Args:
          options: options of `kinetix_py.edit.notebook.LevelEditor`, such as `height=900`.

        Returns:
          the editor, whose `level` is what is drawn at any time and whose `address` any browser can open.

        Raises:
          ValueError: an option out of its bounds, or a level that is not valid.
        """
        from kinetix_py.edit.notebook import LevelEditor  # which needs this module

        return LevelEditor(self, **options)

    def _repr_html_(self) -> str | None:
        """Returns a notebook's picture of the level; None, for the usual text, if it cannot be drawn."""
        try:
            return self.show()._repr_html_()
        except (AttributeError, TypeError, ValueError):
            return None


def empty_level(size: str | LevelSize, gravity: tuple[float, float] = (0.0, -9.81)) -> Level:
    """Returns a room of 5 m x 5 m with its floor at 0.4 m, and nothing in it.

    Args:
      size: `"s"`, `"m"`, `"l"`, or any `LevelSize`.
      gravity: acceleration (x, y) [m/s^2].
    """
    size = as_size(size)
    scene = jax2d.Scene(size.sim_spec())
    if size.num_walls:
        scene.add_walls()
    scene.set_gravity(gravity)
    return from_scene(scene.build(), size)


def from_scene(
    sim: jax2d.SimState,
    size: str | LevelSize,
    *,
    role: Sequence[int] | None = None,
    motor_binding: Sequence[int] | None = None,
    motor_auto: Sequence[bool] | None = None,
    thruster_binding: Sequence[int] | None = None,
    rules: Rules | None = None,
) -> Level:
    """Returns the level of a scene.

    Args:
      sim: scene of this size, such as `jax2d.Scene(size.sim_spec())` builds.
      size: `"s"`, `"m"`, `"l"`, or any `LevelSize`.
      role: role of each body slot; all 0 if None.
      motor_binding, motor_auto: binding of each joint slot, and whether its motor runs by itself; all 0
        and False if None.
      thruster_binding: binding of each thruster slot; all 0 if None.
      rules: rules beyond the plain game; none of them if None.

    Raises:
      ValueError: arrays that are not of this size.
    """
    size = as_size(size)
    # Not by jnp.asarray, which compiles a program for each shape.
    given = lambda value, count: np.zeros(count) if value is None else value
    pick = lambda value, count, dtype: jax.device_put(np.asarray(given(value, count), dtype))
    labels = LevelLabels(
        role=pick(role, size.num_bodies, np.int32),
        density=densities(sim),
        motor_binding=pick(motor_binding, size.num_joints, np.int32),
        motor_auto=pick(motor_auto, size.num_joints, bool),
        thruster_binding=pick(thruster_binding, size.num_thrusters, np.int32),
    )
    level = Level(sim=sim, labels=labels, size=size, rules=rules)
    check_arrays(level)
    return level


@jax.jit
def densities(sim: jax2d.SimState) -> jax.Array:
    """Returns the mass over the area of every body, 1 for static ones: float `[N]` kg/m^2."""
    index = jnp.arange(sim.vertices.shape[-2])
    used = index[None] < sim.num_vertices[:, None]
    closed = jnp.where(used[..., None], sim.vertices, sim.vertices[:, :1])
    here, there = closed, jnp.roll(closed, -1, axis=1)
    polygons = jnp.abs((here[..., 0] * there[..., 1] - here[..., 1] * there[..., 0]).sum(-1)) / 2
    area = jnp.concatenate([polygons, jnp.pi * sim.radius**2])
    divisor = sim.inverse_mass * area
    return jnp.where(divisor > 0, 1 / jnp.where(divisor > 0, divisor, 1), 1.0)


def check_arrays(scene: Level | EnvState) -> None:
    """Checks that the arrays of a level or state, or of a batch, have the shapes that its size says.

    Raises:
      ValueError: naming the array, its shape and the size's.
    """
    sizes = rule_dimensions(scene.size)
    parts = {
        "sim": scene.sim,
        "sim.joints": scene.sim.joints,
        "sim.thrusters": scene.sim.thrusters,
        "labels": scene.labels,
    }
    if scene.rules is not None:
        parts["rules"] = scene.rules
    for path, owner in parts.items():
        for name, spec in field_specs(owner).items():
            shape, own = tuple(getattr(owner, name).shape), spec.shape(sizes)
            if shape != (*scene.batch_shape, *own):
                raise ValueError(
                    f"level: {path}.{name} has shape {shape}, but its size says {own}: {scene.size}"
                )


def check_fits(level: Level, size: LevelSize) -> None:
    """Checks that a level of its own size can be padded to another one.

    Raises:
      ValueError: naming the count, the level's and the other size's.
    """
    for name, count in dataclasses.asdict(level.size).items():
        most = getattr(size, name)
        if name == "num_walls":
            if count != most and not (count < most and count == level.size.num_polygons):
                raise ValueError(f"level: num_walls is {count}, but {most} in this size")
        elif count > most:
            raise ValueError(f"level: {name} is {count}, but at most {most} fit this size")


def pad_level(level: Level, size: str | LevelSize) -> Level:
    """Returns the same level with more, unused slots; pure, so that it may run inside `jit`.

    Padding keeps a level's behavior under `contact_order="parallel"`.

    Args:
      level: one level; `vmap` over a batch.
      size: `"s"`, `"m"`, `"l"`, or any `LevelSize`.

    Raises:
      ValueError: the level is larger than the size in some count, or has other walls.
    """
    size, own = as_size(size), level.size
    if own == size:
        return level
    check_fits(level, size)
    check_arrays(level)
    return _padded(level, size)


@functools.partial(jax.jit, static_argnames="size")
def _padded(level: Level, size: LevelSize) -> Level:
    """The level in a size that is known to hold it."""
    own, sizes, free = level.size, rule_dimensions(size), size.num_polygons

    def field(value: jax.Array, spec: jax2d.FieldSpec, fill: float = 0) -> jax.Array:
        shape = spec.shape(sizes)
        if spec.axis == "K":  # its slots are laid out anew, and a level carries no impulses
            return jnp.zeros(shape, spec.dtype)
        if not shape:
            return value
        if spec.axis != "N":
            grown = [(0, new - old) for new, old in zip(shape, value.shape, strict=True)]
            return jnp.pad(value, grown, constant_values=fill)
        padded = jnp.full(shape, fill, value.dtype).at[: own.num_polygons].set(value[: own.num_polygons])
        return padded.at[free : free + own.num_circles].set(value[own.num_polygons :])

    def fields(owner: Any, **fills: float) -> dict[str, Any]:
        specs = field_specs(owner).items()
        return {name: field(getattr(owner, name), spec, fills.get(name, 0)) for name, spec in specs}

    def moved(index: jax.Array) -> jax.Array:
        return jnp.where(index >= own.num_polygons, index + free - own.num_polygons, index)

    joints = jax2d.Joints(**fields(level.sim.joints))
    joints = dataclasses.replace(joints, body_a=moved(joints.body_a), body_b=moved(joints.body_b))
    thrusters = jax2d.Thrusters(**fields(level.sim.thrusters))
    thrusters = dataclasses.replace(thrusters, body=moved(thrusters.body))
    sim = jax2d.SimState(**fields(level.sim), joints=joints, thrusters=thrusters)
    labels = LevelLabels(**fields(level.labels, density=1))
    rules = None if level.rules is None else Rules(**fields(level.rules, **PLAIN))
    return Level(sim=sim, labels=labels, size=size, rules=rules)


def with_rules(level: Level) -> Level:
    """Returns a level, or a batch, that has rules: those of the plain game if it has none."""
    if level.rules is not None:
        return level
    return dataclasses.replace(level, rules=plain_rules(level.size, level.batch_shape))


def stack_levels(levels: Sequence[Level], size: str | LevelSize | None = None) -> Level:
    """Returns one batch of several levels, padded to one size; if one of them has rules, then all.

    Args:
      levels: single levels, of any sizes.
      size: `"s"`, `"m"`, `"l"`, or any `LevelSize`; the largest count of each kind if None.

    Raises:
      ValueError: no level, or one that does not fit the size.
    """
    if not levels:
        raise ValueError("stack_levels needs at least one level, got none")
    size = largest([level.size for level in levels]) if size is None else as_size(size)
    if any(level.rules is not None for level in levels):
        levels = [with_rules(level) for level in levels]
    padded = [pad_level(level, size) for level in levels]
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(padded)):
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *padded)
    # On the host, where nothing is compiled for each number of levels.
    return jax.device_put(jax.tree.map(lambda *leaves: np.stack(leaves), *padded))


def validate_level(level: Level) -> None:
    """Checks every value of one level on the host.

    Raises:
      jax2d.SceneError: naming the first entity that is wrong, the value and the bound.
      ValueError: arrays that are not of the level's size, or a batch.
    """
    if level.batch_shape:
        raise ValueError(f"level: must be one level, got a batch of shape {level.batch_shape}")
    check_arrays(level)
    labels, size = level.labels, level.size
    jax2d.validate(level.sim, size.sim_spec())
    active = np.asarray(level.sim.active)
    role, density = np.asarray(labels.role), np.asarray(labels.density)
    for i in np.flatnonzero(active & ((role < 0) | (role >= NUM_ROLES))):
        raise jax2d.SceneError(f"body {i}: role must be in 0 .. {NUM_ROLES - 1}, got {int(role[i])}")
    for i in np.flatnonzero(active & ~(np.isfinite(density) & (density > 0))):
        raise jax2d.SceneError(f"body {i}: density must be above 0, got {float(density[i]):g}")
    joints = level.sim.joints
    # A joint without a motor has the first binding, also in a size without bindings.
    bound = np.asarray(joints.active) & (
        np.asarray(joints.motor_on) | (np.asarray(labels.motor_binding) != 0)
    )
    _check_bindings("joint", "motor_binding", bound, labels.motor_binding, size.num_motor_bindings)
    _check_bindings(
        "thruster",
        "thruster_binding",
        level.sim.thrusters.active,
        labels.thruster_binding,
        size.num_thruster_bindings,
    )
    if level.rules is not None:
        validate_rules(level.rules, size)


def _check_bindings(kind: str, field: str, active, bindings, count: int) -> None:
    active, bindings = np.asarray(active), np.asarray(bindings)
    for i in np.flatnonzero(active & ((bindings < 0) | (bindings >= count))):
        raise jax2d.SceneError(f"{kind} {i}: {field} must be in 0 .. {count - 1}, got {int(bindings[i])}")
