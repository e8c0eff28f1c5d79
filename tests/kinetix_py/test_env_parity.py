"""The environment against episodes recorded with Kinetix: outcomes, when they came, and distances."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from tests.jax2d.kinetix_files import LEVELS, ROLLOUTS

pytestmark = [
    pytest.mark.skipif(not ROLLOUTS.is_dir(), reason="the recorded episodes are not beside the project"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def played():
    """Every recorded episode of the M levels, played by actions as they were recorded; by level."""
    paths = sorted(path for path in ROLLOUTS.glob("m_*.npz") if "variants" not in path.name)
    recorded = [dict(np.load(path)) for path in paths]
    levels = [kx.load_level(LEVELS / "m" / f"{path.stem[2:]}.json") for path in paths]
    env = kx.make("m", observation_type="blind", contact_order="kinetix")
    params = kx.EnvParams(dense_reward_scale=0.0)
    count, tries, holds, _ = np.stack([r["actions"] for r in recorded]).shape
    actions = np.stack([r["actions"] for r in recorded]).reshape(count * tries, holds, -1)
    actions = np.repeat(actions, 256 // holds, axis=1).swapaxes(0, 1).astype(np.int32)

    @jax.jit
    def run(levels, actions):
        start = lambda level: env.reset_to_level(level, params)[1]
        state = jax.tree.map(lambda v: jnp.repeat(v, tries, axis=0), jax.vmap(start)(levels))

        def step(state, action):
            one = lambda state, action: env.step(jax.random.key(0), state, action, params)
            _, state, reward, _, info = jax.vmap(one)(state, action)
            return state, (reward, info["distance"])

        return jax.lax.scan(step, state, actions)[1]

    reward, distance = (np.asarray(x) for x in run(kx.stack_levels(levels, kx.SIZES["m"]), actions))
    shape = (256, count, tries)
    return recorded, reward.reshape(shape), distance.reshape(shape)


def test_episodes_end_alike_and_at_once(played):
    recorded, reward, _ = played
    ended = reward != 0
    end = np.where(ended.any(0), ended.argmax(0), 256)
    outcome = np.take_along_axis(reward, np.minimum(end, 255)[None], 0)[0]
    expected = np.stack([r["outcome"] for r in recorded])
    assert (outcome == expected).mean() >= 0.985
    same_end = end == np.stack([r["episode_end"] for r in recorded])
    assert same_end.mean() >= 0.97


def test_distances_agree(played):
    recorded, _, distance = played
    ends = np.stack([r["episode_end"] for r in recorded])
    for i, step in enumerate(recorded[0]["steps"]):
        if step > 32:
            continue
        expected = np.stack([r["distance"][:, i] for r in recorded])
        off = np.abs(distance[step - 1] - expected)[step <= ends]
        assert np.median(off) < 1e-4 and np.quantile(off, 0.9) < 4e-3, step
