"""Records episodes of the library's levels in Kinetix's own environment: see record_kinetix_episodes.sh.

Two steps, as both packages have a module named `jax2d` and cannot share a process:

    python record_kinetix_episodes.py levels SIZE FOLDER            with this package: writes Kinetix's files
    python record_kinetix_episodes.py episodes FOLDER FILE SEED     with Kinetix: plays them

Arrays of the record, for L levels and E episodes of each:

    levels       str [L]              names in the library
    steps        int16 [K]            environment steps of the key frames
    actions      int8 [L, E, 256, 6]  multi-discrete actions
    length       int16 [L, E]         environment steps until the episode was done
    outcome      int8 [L, E]          reward of the step that ended it: 1, -1, or 0 at the time limit
    final_reward float32 [L, E]       the whole reward of that step
    reward       float32 [L, E, 32]   rewards of the first steps, dense term included; 0 from the end on
    distance     float32 [L, E, K]    green-blue distance at the key frames [m]; 0 from the end on
    position     float32 [L, E, K, N, 2]  bodies other than walls, polygons first [m]; 0 from the end on
    rotation     float32 [L, E, K, N]     [rad]; 0 from the end on
    moved_length, moved_outcome       as above, of a second run whose movable bodies started up to 1e-6 m away
    moved_apart  float32 [L, E, K]    between both runs, largest over bodies [m]; 0 from the end on
    versions     str                  of Kinetix and what it runs on
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import pathlib
import sys

import numpy as np

HOLDS = (1, 4, 8, 16)  # environment steps that a random action holds; one episode of each
KEY_STEPS = (0, 1, 8, 16, 32, 64, 128)
REWARD_STEPS = 32
TIME_LIMIT = 256
MOVE = 1e-6  # m, about the rounding of a float32 position in a room of 5 m
BATCH = 32  # episodes of one call
AUTO = "motor_auto.json"  # which motors run by themselves: Kinetix's state has it, its files do not


def export_levels(size: str, folder: str) -> None:
    """Writes the library's levels of a size as Kinetix's files."""
    import kinetix_py as kx

    target = pathlib.Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    auto = {}
    for name in kx.list_levels(f"library/{size}"):
        level = kx.load_level(name)
        stem = pathlib.Path(name).name
        auto[stem] = np.asarray(level.labels.motor_auto).tolist()
        labels = dataclasses.replace(level.labels, motor_auto=np.zeros_like(level.labels.motor_auto))
        level = kx.pad_level(dataclasses.replace(level, labels=labels), size)
        kx.save_level(level, target / f"{stem}.json", format="kinetix")
    (target / AUTO).write_text(json.dumps(auto))


def record(folder: str, path: str, seed: str) -> None:
    """Plays random actions on all levels of a folder."""
    import jax
    import jax.numpy as jnp
    from kinetix.util.saving import load_from_json_file

    auto = json.loads((pathlib.Path(folder) / AUTO).read_text())
    names, episodes = sorted(auto), len(HOLDS)
    states = []
    for name in names:
        file = pathlib.Path(folder, f"{name}.json").resolve()
        state, static, params = load_from_json_file(str(file))
        gravity = json.loads(file.read_text())["env_state"][
            "gravity"
        ]  # which its reader leaves at 9.81 m/s^2
        gravity = jnp.array([gravity["0"], gravity["1"]])
        states.append(state.replace(gravity=gravity, motor_auto=jnp.asarray(auto[name])))
    random = np.random.default_rng(int(seed))
    actions = _draw_actions(random, (len(names), episodes), static)
    batch = jax.tree.map(lambda *v: np.repeat(np.stack(v), episodes, axis=0), *states)
    flat = actions.reshape(-1, *actions.shape[2:])
    program = _compile(params, static)
    result = _play(program, batch, flat)
    moved = _play(program, _move(random, batch), flat)
    result |= {f"moved_{name}": moved[name] for name in ("length", "outcome")}
    both = np.array(KEY_STEPS) < np.minimum(result["length"], moved["length"])[:, None]
    apart = np.linalg.norm(result["position"] - moved["position"], axis=-1).max(axis=-1)
    result["moved_apart"] = np.where(both, apart, 0)
    result = {name: value.reshape(len(names), episodes, *value.shape[1:]) for name, value in result.items()}
    versions = {name: importlib.metadata.version(name) for name in ("kinetix-env", "jax2d", "jax")}
    np.savez_compressed(
        path,
        levels=np.array(names),
        steps=np.array(KEY_STEPS, np.int16),
        actions=actions,
        versions=np.array(json.dumps(versions)),
        **result,
    )
    print(f"{path}: {len(names)} levels x {episodes} episodes", file=sys.stderr)


def _draw_actions(random: np.random.Generator, shape: tuple[int, int], static) -> np.ndarray:
    """Uniform random multi-discrete actions, each held for the steps of its episode's `HOLDS`."""
    high = [3] * static.num_motor_bindings + [2] * static.num_thruster_bindings
    drawn = random.integers(0, high, (*shape, TIME_LIMIT, len(high)), dtype=np.int8)
    held = [drawn[:, i, (np.arange(TIME_LIMIT) // hold)] for i, hold in enumerate(HOLDS)]
    return np.stack(held, axis=1)


def _move(random: np.random.Generator, batch):
    """The states with every movable body a little elsewhere."""

    def move(body):
        by = random.uniform(-MOVE, MOVE, body.position.shape) * (body.inverse_mass > 0)[..., None]
        return body.replace(position=(body.position + by).astype(np.float32))

    return batch.replace(polygon=move(batch.polygon), circle=move(batch.circle))


def _play(program, batch, actions: np.ndarray) -> dict[str, np.ndarray]:
    """Plays one episode of every state, some at a time."""
    import jax

    count = len(actions)
    results = []
    for start in range(0, count, BATCH):
        rows = np.arange(start, start + BATCH) % count  # every call of one shape
        part = jax.tree.map(lambda value, rows=rows: value[rows], batch)
        played = _summary(jax.device_get(program(part, actions[rows].astype(np.int32))))
        results.append({name: value[: count - start] for name, value in played.items()})
    return {name: np.concatenate([part[name] for part in results]) for name in results[0]}


def _compile(params, static):
    """A run of a batch of episodes, `(states, actions [B, T, 6]) -> arrays [B, T, ...]`."""
    import jax
    import jax.numpy as jnp
    from kinetix.environment import make_kinetix_env
    from kinetix.environment.spaces import ActionType, ObservationType

    kinds = {"action_type": ActionType.MULTI_DISCRETE, "observation_type": ObservationType.SYMBOLIC_FLAT}
    env = make_kinetix_env(
        **kinds, reset_fn=None, env_params=params, static_env_params=static, auto_reset=False
    )

    def bodies(state):
        position = jnp.concatenate([state.polygon.position, state.circle.position])
        rotation = jnp.concatenate([state.polygon.rotation, state.circle.rotation])
        active = jnp.concatenate([state.polygon.active, state.circle.active])[:, None]
        walls = static.num_static_fixated_polys
        return (position * active)[walls:], (rotation * active[:, 0])[walls:]

    def episode(state, actions):
        def step(state, action):
            _, after, reward, done, info = env.step(jax.random.PRNGKey(0), state, action, params)
            return after, (reward, done, info["GoalR"], info["distance"], *bodies(after))

        start = bodies(state)
        _, played = jax.lax.scan(step, state, actions)
        return (*start, *played)

    return jax.jit(jax.vmap(episode))


def _summary(played) -> dict[str, np.ndarray]:
    """The arrays of the record, `[B, ...]`."""
    position, rotation, reward, done, goal, distance, positions, rotations = map(np.asarray, played)
    assert np.isfinite(positions).all() and np.isfinite(reward).all()
    end = np.where(done.any(1), done.argmax(1), TIME_LIMIT - 1)
    at_end = lambda value: np.take_along_axis(value, end[:, None], 1)[:, 0]
    timed_out = end == TIME_LIMIT - 1
    # Before the limit, only contact ends an episode. At the limit, it is a loss if the reward is beyond what
    # the dense term can give.
    lost = ~at_end(goal) & (~timed_out | (at_end(reward) < -0.5))
    outcome = np.where(at_end(goal), 1, np.where(lost, -1, 0))
    steps = np.array(KEY_STEPS)
    keys = lambda start, after: np.stack([start, *(after[:, step - 1] for step in steps[1:])], axis=1)
    running = steps <= end[:, None]  # the step that ends an episode is not compared
    mask = lambda value: np.where(running.reshape(*running.shape, *[1] * (value.ndim - 2)), value, 0)
    early = np.arange(REWARD_STEPS) < end[:, None]
    return {
        "length": (end + 1).astype(np.int16),
        "outcome": outcome.astype(np.int8),
        "final_reward": at_end(reward).astype(np.float32),
        "reward": np.where(early, reward[:, :REWARD_STEPS], 0).astype(np.float32),
        "distance": mask(keys(np.zeros(len(end)), distance)).astype(np.float32),
        "position": mask(keys(position, positions)).astype(np.float32),
        "rotation": mask(keys(rotation, rotations)).astype(np.float32),
    }


if __name__ == "__main__":
    {"levels": export_levels, "episodes": record}[sys.argv[1]](*sys.argv[2:])
