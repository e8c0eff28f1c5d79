# %% [markdown]
# # The engine alone, in your own JAX project
#
# `jax2d` is a rigid-body engine and knows nothing of games or agents. Here we let it plan: a ship with
# three thrusters must fly over a rock and hover at a point on the other side. We look for the schedule of
# its thrusters first by gradient descent through the physics, then by search, then by both.
#
# Needs `pip install -e . matplotlib`.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jax2d

# %% [markdown]
# ## A scene
#
# `SimSpec` is static: the slots of each kind, and how often the solver sweeps over the constraints. One
# wall slot is the floor. Both round bodies are circles: a ship of 0.13 kg, and a rock that does not move.
# Nothing has friction, so that the ship does not roll: its thrusters would turn with it.

# %%
spec = jax2d.SimSpec(num_polygons=1, num_circles=2, num_joints=0, num_thrusters=3, solver_iterations=4)
scene = jax2d.Scene(spec)
scene.add_walls(friction=0)
ship = scene.add_circle((0.8, 0.6), radius=0.2, friction=0)
rock = scene.add_circle((2.5, 1.1), radius=0.7, friction=0, static=True)
for angle in (np.pi / 2, 0, np.pi):  # pushes up, to the right, to the left
    scene.add_thruster(ship, direction=angle, power=0.3)
start = scene.build()
ROCK, TARGET = jnp.array([2.5, 1.1]), jnp.array([4.2, 1.0])

# %% [markdown]
# ## Flying many schedules at once
#
# A schedule holds each thruster's throttle for a quarter of a second, 12 times. `step_batch` with
# `batch_axis=-1` is how the engine computes: the batch is the last axis of every array. It is also the form
# that has gradients in reverse mode. (`jax.vmap(jax2d.step)` is more convenient where none are needed.)

# %%
PARTS, HELD = 12, 15  # parts of a schedule; physics steps of each, 60 to a second


def fly(schedules):
    """Paths of the ship `[steps, 2, batch]` m and its last velocities, for throttles `[batch, PARTS, 3]`."""
    batch = schedules.shape[0]
    states = jax.tree.map(lambda leaf: jnp.repeat(leaf[..., None], batch, axis=-1), start)
    throttles = jnp.repeat(jnp.moveaxis(schedules, 0, -1), HELD, axis=0)  # [steps, 3, batch]

    def frame(states, throttle):
        states, _ = jax2d.step_batch(states, throttle, jax2d.SimParams(), spec, batch_axis=-1)
        return states, states.position[ship.index]

    states, path = jax.lax.scan(frame, states, throttles)
    return path, states.velocity[ship.index]


def cost(free):
    """Returns the cost of each schedule `[batch]`: how far from the target and how fast it ends, how near it
    comes to the rock and to the room's left edge, and fuel; and the paths."""
    schedules = jax.nn.sigmoid(free)  # any numbers -> throttles in 0 .. 1
    path, velocity = fly(schedules)
    miss = jnp.sum((path[-1] - TARGET[:, None]) ** 2, axis=0)
    speed = jnp.sum(velocity**2, axis=0)
    apart = jnp.linalg.norm(path - ROCK[:, None], axis=1)
    near = jnp.maximum(1.1 - apart, 0) ** 2 + jnp.maximum(0.4 - path[:, 0], 0) ** 2  # rock: touches at 0.9
    return miss + 0.2 * speed + 20 * near.mean(axis=0) + 0.5 * jnp.mean(schedules, axis=(1, 2)), path


def miss(path):
    """Distance from the target at which the first of some paths ends [m]."""
    return float(jnp.linalg.norm(path[-1, :, 0] - TARGET))


# %% [markdown]
# ## By gradient
#
# `jax.grad` goes through every contact of 180 steps. It knows what would be a little better, and nothing
# else: the ship slides to the rock and stays there.


# %%
@jax.jit
def descend(free):
    """150 steps of Adam on one schedule `[1, PARTS, 3]`: the best one met, and all costs."""
    rate, slow, wide = 0.1, 0.9, 0.99

    def total(free):
        costs, _ = cost(free)
        return costs[0]

    def step(carried, count):
        free, mean, square, best, least = carried
        value, slope = jax.value_and_grad(total)(free)
        slope = slope / jnp.maximum(jnp.linalg.norm(slope), 1.0)  # a contact can make it huge
        best, least = jnp.where(value < least, free, best), jnp.minimum(value, least)
        mean, square = slow * mean + (1 - slow) * slope, wide * square + (1 - wide) * slope**2
        scale = jnp.sqrt(square / (1 - wide**count)) + 1e-8
        return (free - rate * mean / (1 - slow**count) / scale, mean, square, best, least), value

    zero = jnp.zeros_like(free)
    carried = (free, zero, zero, free, jnp.float32(jnp.inf))
    carried, costs = jax.lax.scan(step, carried, jnp.arange(1.0, 151.0))
    return carried[3], costs


paths = jax.jit(lambda free: cost(free)[1])
idle = jnp.full((1, PARTS, 3), -2.0)  # throttles of 0.12: the ship stays on the floor
by_gradient, gradient_costs = descend(idle)
stuck = miss(paths(by_gradient))
print(f"cost {gradient_costs[0]:.2f} -> {gradient_costs.min():.2f}; it ends {stuck:.2f} m from the target")

# %% [markdown]
# ## By search
#
# The cross-entropy method draws 512 schedules, keeps the best 16, draws around them, and so on. All fly in
# one compiled program.


# %%
@jax.jit
def search(key):
    """20 rounds: the best schedule `[1, PARTS, 3]`, and its cost after each round."""

    def one_round(carried, key):
        mean, deviation, best, least = carried
        free = mean + deviation * jax.random.normal(key, (512, PARTS, 3))
        costs, _ = cost(free)
        order = jnp.argsort(costs)
        elite, first = free[order[:16]], free[order[0]]
        best, least = jnp.where(costs.min() < least, first, best), jnp.minimum(costs.min(), least)
        return (elite.mean(axis=0), elite.std(axis=0) + 0.05, best, least), least

    zero = jnp.zeros((PARTS, 3))
    carried = (zero, jnp.full_like(zero, 2.0), zero, jnp.float32(jnp.inf))
    carried, costs = jax.lax.scan(one_round, carried, jax.random.split(key, 20))
    return carried[2][None], costs


by_search, search_costs = search(jax.random.key(0))
found = miss(paths(by_search))
print(f"cost {search_costs[0]:.2f} -> {search_costs[-1]:.2f}; it ends {found:.2f} m from the target")

# %% [markdown]
# ## By both
#
# Search finds the way over the rock, the gradient makes it precise.

# %%
by_both, both_costs = descend(by_search)
landed = miss(paths(by_both))
print(f"cost {both_costs[0]:.3f} -> {both_costs.min():.3f}; it ends {landed:.3f} m from the target")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
left.axhspan(0, 0.4, color="#9e9e9e")
left.add_patch(plt.Circle((2.5, 1.1), 0.7, color="#616161"))
left.plot(*TARGET, "k+", markersize=14)
for name, free in (("gradient", by_gradient), ("search", by_search), ("both", by_both)):
    left.plot(*np.asarray(paths(free))[:, :, 0].T, label=name)
left.set(
    xlim=(0, 5), ylim=(0, 3.5), aspect="equal", xlabel="x [m]", ylabel="y [m]", title="paths of the ship"
)
left.legend()
right.semilogy(gradient_costs, label="gradient")
right.semilogy(search_costs, label="search")
right.semilogy(both_costs, label="gradient, from the search's")
right.set(xlabel="steps or rounds", title="cost")
right.grid(alpha=0.3)
right.legend()
figure.tight_layout()

# %% [markdown]
# `jax2d/README.md` describes the solver and the limits of the model. What is worth knowing here: gradients
# through hundreds of steps of a body that *turns* grow without bound, so plan in shorter pieces or search.
