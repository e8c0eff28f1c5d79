"""Recorded episodes of Kinetix's own environment, and the same actions played in this package's.

    python -m tests.kinetix_py.kinetix_episodes

prints how well they agree, by size.
"""

from __future__ import annotations

import pathlib

import jax
import jax.numpy as jnp
import numpy as np

import kinetix_py as kx

RECORDS = pathlib.Path(__file__).parents[1] / "data" / "kinetix_episodes"
TIME_LIMIT = 256
DENSE_REWARD_SCALE = 0.1  # Kinetix's default, under which the episodes were recorded
BATCHES = 4  # of episodes of similar length, so that none is played much longer than it lasts


def played_by_us(env, levels, actions):
    """Plays a batch of episodes `[B]` until all are over.

    Returns:
      Arrays `[256, B, ...]` by environment step.
    """
    params = kx.EnvParams(dense_reward_scale=DENSE_REWARD_SCALE)
    key = jax.random.key(0)
    start = jax.vmap(lambda level: env.reset_to_level(level, params)[1])(levels)

    def step(state, action):
        _, state, reward, done, info = env.step(key, state, action, params)
        outcome = info["solved"].astype(int) - info["failed"].astype(int)
        values = {"reward": reward, "done": done, "outcome": outcome, "distance": info["distance"]}
        return state, values | {"position": state.sim.position, "rotation": state.sim.rotation}

    def advance(carry):
        time, state, over, arrays = carry
        state, values = jax.vmap(step)(state, actions[:, time])
        arrays = jax.tree.map(lambda array, value: array.at[time].set(value), arrays, values)
        return time + 1, state, over | values["done"], arrays

    shapes = jax.eval_shape(jax.vmap(step), start, actions[:, 0])[1]
    arrays = jax.tree.map(lambda value: jnp.zeros((TIME_LIMIT, *value.shape), value.dtype), shapes)
    carry = (0, start, jnp.zeros(len(actions), bool), arrays)
    return jax.lax.while_loop(lambda c: (c[0] < TIME_LIMIT) & ~c[2].all(), advance, carry)[3]


class Played:
    """The recorded episodes of one size, and the same actions in this package's environment, `[B, ...]`."""

    def __init__(self, size: str):
        self.size = size
        record = dict(np.load(RECORDS / f"{size}.npz"))
        self.steps, self.names = record.pop("steps"), record["levels"]
        shape = record["length"].shape
        count = shape[0] * shape[1]
        self.kinetix = {
            name: value.reshape(count, *value.shape[2:])
            for name, value in record.items()
            if value.shape[:2] == shape
        }
        levels = kx.stack_levels([kx.load_level(name) for name in self.names], kx.SIZES[size])
        levels = jax.tree.map(lambda value: np.repeat(value, shape[1], axis=0), levels)
        env = kx.make(size, observation_type="blind", contact_order="kinetix")
        play = jax.jit(lambda levels, actions: played_by_us(env, levels, actions))
        order = np.argsort(self.kinetix["length"], kind="stable")
        assert count % BATCHES == 0
        parts = [
            play(jax.tree.map(lambda value, rows=rows: value[rows], levels), actions.astype(np.int32))
            for rows in np.split(order, BATCHES)
            for actions in [self.kinetix["actions"][rows]]
        ]
        back = np.argsort(order)
        self.ours = {
            name: np.concatenate([part[name] for part in parts], axis=1)[:, back] for name in parts[0]
        }
        self.walls = kx.SIZES[size].num_walls
        self.start = np.asarray(levels.sim.position)[:, self.walls :]
        self.active = np.asarray(levels.sim.active)[:, self.walls :]
        done = self.ours["done"]
        self.last = np.where(done.any(0), done.argmax(0), TIME_LIMIT - 1)

    def at_end(self, name: str) -> np.ndarray:
        """Our value of the step that ended each episode."""
        return np.take_along_axis(self.ours[name], self.last[None], axis=0)[0]

    def alike(self) -> tuple[np.ndarray, np.ndarray]:
        """Marks the episodes that end with the same outcome as Kinetix's, and those also at the same step."""
        outcome = self.at_end("outcome") == self.kinetix["outcome"]
        return outcome, outcome & (self.last + 1 == self.kinetix["length"])

    def moved_alike(self) -> tuple[np.ndarray, np.ndarray]:
        """The same of Kinetix's second run."""
        outcome = self.kinetix["moved_outcome"] == self.kinetix["outcome"]
        return outcome, outcome & (self.kinetix["moved_length"] == self.kinetix["length"])

    def apart(self, key_frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Distances of our run and of Kinetix's second from its first [m]; largest over bodies."""
        step, length = self.steps[key_frame], self.kinetix["length"]
        by = self.ours["position"][step - 1][:, self.walls :] - self.kinetix["position"][:, key_frame]
        ours = np.where(self.active, np.linalg.norm(by, axis=-1), 0).max(axis=1)
        running = step < np.minimum(length, self.last + 1)
        running_moved = step < np.minimum(length, self.kinetix["moved_length"])
        return ours[running], self.kinetix["moved_apart"][running_moved, key_frame]


def print_table() -> None:
    """Prints shares of episodes that end alike, and distances (median / 90 %) [m]."""
    print("| size | episodes | same outcome | same outcome and step | apart after 16 steps | after 64 |")
    print("| --- | --- | --- | --- | --- | --- |")
    for size in ("s", "m", "l"):
        played = Played(size)
        frames = [list(played.steps).index(step) for step in (16, 64)]
        for which, name in enumerate((size, f"{size}, Kinetix moved by 1e-6 m")):
            outcome, both = (played.alike, played.moved_alike)[which]()
            apart = [np.quantile(played.apart(frame)[which], (0.5, 0.9)) for frame in frames]
            cells = [f"{median:.1e} / {ninety:.1e}" for median, ninety in apart]
            print(
                f"| {name} | {len(both)} | {outcome.mean():.1%} | {both.mean():.1%} | {' | '.join(cells)} |"
            )


if __name__ == "__main__":
    print_table()
