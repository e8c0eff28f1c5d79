"""Progress of an episode under the rules of its level (`kinetix_py.levels.rules`)."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

import jax2d
from kinetix_py.levels.rules import MAX_GOAL, NUM_SWITCHES, Rules
from kinetix_py.roles import BLUE, GREEN

NO_GOAL = MAX_GOAL + 1  # number after the last goal


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Progress:
    """Goals reached, and how long the next one was touched, in an episode."""

    goal: jax.Array  # int32 [], number of the goal that is to be touched now
    held: jax.Array  # int32 [N], physics steps in a row for which green has touched a shape of this number
    on: jax.Array  # bool [NUM_SWITCHES], switches that green has turned on


def _numbers(rules: Rules, blue: jax.Array) -> jax.Array:
    """Numbers of the blue shapes, `NO_GOAL` of others: int32 `[N]`."""
    return jnp.where(blue, rules.goal, NO_GOAL)


def _next_number(numbers: jax.Array, after: jax.Array) -> jax.Array:
    """The least number above `after`, `NO_GOAL` if there is none: int32, of the shape of `after`."""
    rows = jnp.broadcast_to(numbers.reshape((1,) * after.ndim + (-1,)), (*after.shape, numbers.shape[0]))
    return jnp.where(rows > after[..., None], rows, NO_GOAL).min(-1)


def start_progress(rules: Rules, sim: jax2d.SimState, role: jax.Array) -> Progress:
    """Returns the progress at the start of an episode.

    Args:
      rules: rules of one level.
      sim: its scene.
      role: int32 `[N]` roles of the bodies.
    """
    numbers = _numbers(rules, sim.active & (role == BLUE))
    first = jnp.minimum(numbers.min(initial=NO_GOAL), MAX_GOAL)
    return Progress(first.astype(jnp.int32), jnp.zeros_like(rules.hold), jnp.zeros(NUM_SWITCHES, bool))


def advance(
    progress: Progress, rules: Rules, role: jax.Array, touches: jax.Array, active: jax.Array
) -> tuple[Progress, jax.Array]:
    """Advances the progress by one physics step.

    Args:
      progress: progress before the step.
      rules: rules of the level.
      role: int32 `[N]` roles of the bodies.
      touches: bool `[N, N]`, pairs of bodies that overlap in this step.
      active: bool `[N]`, bodies in use.

    Returns:
      the progress after it, and whether the last goal was reached: bool `[]`.
    """
    blue = active & (role == BLUE)
    by_green = (touches & (active & (role == GREEN))[None]).any(1)
    number = jnp.arange(1, NUM_SWITCHES + 1)
    pressed = ((active & by_green)[:, None] & (rules.sensor[:, None] == number[None])).any(0)
    held = jnp.where(blue & by_green & (rules.goal == progress.goal), progress.held + 1, 0)
    reached = ((held > 0) & (held >= rules.hold)).any()
    following = _next_number(_numbers(rules, blue), progress.goal)
    solved = reached & (following == NO_GOAL)
    next_one = reached & ~solved
    goal = jnp.where(next_one, following, progress.goal).astype(jnp.int32)
    held = jnp.where(next_one, 0, held).astype(jnp.int32)
    return Progress(goal, held, progress.on | pressed), solved


def is_waiting(waits_for: jax.Array, progress: Progress) -> jax.Array:
    """Tells what still waits for its switch.

    Args:
      waits_for: int32 `[n]`, switch of each entity, 0 for none.
      progress: progress of the episode.

    Returns:
      bool `[n]`.
    """
    off = (waits_for[:, None] == jnp.arange(1, NUM_SWITCHES + 1)[None]) & ~progress.on[None]
    return off.any(1)


def switched_controls(controls: jax.Array, rules: Rules, progress: Progress) -> jax.Array:
    """Returns the controls of motors, then thrusters, `[J + T]`, with those off that wait for a switch."""
    waits_for = jnp.concatenate([rules.joint_waits_for, rules.thruster_waits_for])
    return jnp.where(is_waiting(waits_for, progress), 0, controls)


def held_in_place(sim: jax2d.SimState, rules: Rules, progress: Progress) -> jax.Array:
    """Tells which bodies a switch holds in place: bool `[N]`."""
    return is_waiting(rules.body_waits_for, progress) & sim.active


def frozen(sim: jax2d.SimState, held: jax.Array) -> jax2d.SimState:
    """Returns a scene in which some bodies, bool `[N]`, are static and at rest."""
    still = lambda value: jnp.where(held.reshape(-1, *[1] * (value.ndim - 1)), 0, value)
    return dataclasses.replace(
        sim,
        velocity=still(sim.velocity),
        angular_velocity=still(sim.angular_velocity),
        inverse_mass=still(sim.inverse_mass),
        inverse_inertia=still(sim.inverse_inertia),
    )


def goals_before(rules: Rules, progress: Progress, blue: jax.Array) -> jax.Array:
    """Counts the goals that are to be reached before each blue shape: int32 `[N]`, 0 for others.

    Args:
      rules: rules of one level.
      progress: progress of the episode.
      blue: bool `[N]`, blue shapes in use.
    """
    number = jnp.arange(NO_GOAL)
    exists = (blue[:, None] & (rules.goal[:, None] == number[None])).any(0)
    between = (number[None] >= progress.goal) & (number[None] < rules.goal[:, None])
    return jnp.where(blue, (exists[None] & between).sum(1), 0).astype(jnp.int32)


def center_distances(sim: jax2d.SimState) -> jax.Array:
    """Returns the distances between the centers of all bodies of one scene: float `[N, N]` m."""
    # Coordinate by coordinate: a CPU takes many times longer for a sum over an axis of two.
    x, y = sim.position.T
    return jnp.sqrt((x[:, None] - x[None]) ** 2 + (y[:, None] - y[None]) ** 2)


def way_to_go(sim: jax2d.SimState, role: jax.Array, rules: Rules, progress: Progress) -> jax.Array:
    """Returns the distance that is left: from green to the goal, and from each goal to the next.

    It is summed over all pairs of a green shape and one of the goal, and of a shape of each later goal and
    one of the goal before it. With one goal it is `goal_distance`. As green reaches a goal it hardly changes.

    Args:
      sim: one scene.
      role: int32 `[N]` roles of its bodies.
      rules: rules of the level.
      progress: progress of the episode.

    Returns:
      float `[]` m.
    """
    green, blue = (sim.active & (role == which) for which in (GREEN, BLUE))
    numbers = _numbers(rules, blue)
    following = _next_number(numbers, numbers)
    ahead = blue & (rules.goal >= progress.goal)
    first = green[:, None] & (blue & (rules.goal == progress.goal))[None]
    later = (ahead[:, None] & blue[None]) & (following[:, None] == numbers[None])
    return jnp.where(first | later, center_distances(sim), 0).sum()
