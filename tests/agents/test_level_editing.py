"""The game of an adversary that builds levels: edits where it says, and learning from what they are worth."""

from __future__ import annotations

import dataclasses

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.curricula import PAIRED, EditingAdversary, LevelEditing
from agents.policy import Policy, PolicyOutput
from agents.ppo.config import PPOConfig
from agents.ppo.learner import Learner
from agents.ppo.ppo import make_optimizer
from agents.training.trainer import Trainer
from kinetix_py.sizes import FLOOR, ROOM
from tests.agents.policies import Thrust
from tests.kinetix_py.small_levels import TINY, batch, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

KEY = jax.random.key(0)
EDITS = ("add_shape", "remove_thruster")
ENV = LevelEditing(TINY, "blind", num_edits=4, grid=2, edits=EDITS)
ACTIONS = jnp.arange(9)  # nothing, a shape in each of four cells, a thruster less in each


@dataclasses.dataclass(frozen=True)
class Preferences(Policy):
    """Chooses by a logit of each choice, whatever it sees."""

    num_choices: int

    def init(self, key):
        return jnp.zeros(self.num_choices)

    def unroll(self, params, carry, obs, reset, action_mask=None):
        logits = jnp.broadcast_to(params, (*reset.shape, self.num_choices))
        return PolicyOutput(carry, distrax.Categorical(logits=logits), jnp.zeros(reset.shape))


@pytest.fixture(scope="module")
def edited():
    """A rocket after each of the actions: levels `[9]`."""
    edit = jax.jit(jax.vmap(ENV.edit, (0, None, 0)))
    return edit(jax.random.split(KEY, 9), rocket(), ACTIONS)


def test_there_is_a_choice_for_each_kind_and_cell():
    assert ENV.action_space == kx.spaces.Discrete(9)
    default = LevelEditing(TINY)
    assert default.action_space.n == 1 + 16 * len(default.edits) and "change_gravity" not in default.edits


def test_a_new_shape_appears_in_its_cell(edited):
    """Cells are half as wide as the room, and half as high as the room above its floor."""
    new = np.asarray(edited.sim.active) & ~np.asarray(rocket().sim.active)[None]
    assert new.sum(1).tolist() == [0, 1, 1, 1, 1, 0, 0, 0, 0]
    for action in range(1, 5):
        x, y = np.asarray(edited.sim.position[action])[new[action]][0]
        column, row = int(x > ROOM / 2), int(y > FLOOR + (ROOM - FLOOR) / 2)
        assert 1 + column + 2 * row == action and 0 < x < ROOM and FLOOR < y < ROOM


def test_other_edits_change_what_there_is(edited):
    assert np.asarray(edited.sim.thrusters.active).sum(1).tolist() == [1, 1, 1, 1, 1, 0, 0, 0, 0]
    start = batch(rocket(), 1)
    same = jax.tree.map(lambda a, b: bool((a[0] == b[0]).all()), edited, start)
    assert jax.tree.all(same)  # after action 0


@pytest.fixture(scope="module")
def learnt():
    """Forty updates of an adversary that is rewarded for thrusters: states, levels and so on."""
    own = EditingAdversary(ENV, Preferences(9), learning_rate=0.2, entropy_coef=0.0)

    def update(state, key):
        levels, chosen = own.propose(key, state, 16)
        rewards = levels.sim.thrusters.active.sum(1).astype(jnp.float32)
        state, metrics = own.learn(key, state, chosen, rewards)
        return state, (levels, chosen.done, rewards.mean(), metrics)

    run = jax.jit(lambda state, keys: jax.lax.scan(update, state, keys))
    return own, run(own.init(KEY), jax.random.split(KEY, 40))


def test_an_episode_is_so_many_edits_and_leaves_a_valid_level(learnt):
    _, (_, (levels, done, _, _)) = learnt
    assert done.shape == (40, 4, 16) and done[:, -1].all() and not done[:, :-1].any()
    for i in range(16):
        kx.validate_level(jax.tree.map(lambda leaf, i=i: leaf[0, i], levels))


def test_the_adversary_builds_what_is_rewarded(learnt):
    """Half of the simplest levels have a thruster, which four of nine choices take away."""
    _, (state, (_, _, rewards, metrics)) = learnt
    assert rewards[:3].mean() < 0.25 < 0.35 < rewards[-5:].mean()
    assert jax.nn.softmax(state.params)[5:].sum() < 0.1 < 4 / 9
    assert metrics["adversary_entropy"][0] == pytest.approx(np.log(9), abs=0.05)
    assert metrics["adversary_edits"][0] == pytest.approx(4 * 8 / 9, abs=0.4)


@pytest.mark.slow
def test_paired_learns_from_levels_that_are_built():
    """Two updates of both learners and of the adversary, as one program."""
    params = kx.EnvParams(max_timesteps=20)
    config = PPOConfig(learning_rate=0.1, minibatch_size=80, num_epochs=1)
    env = kx.make(TINY, observation_type="blind", action_type="discrete", auto_reset=True)
    learner = Learner(env, Thrust(), make_optimizer(config), config, 20)
    own = PAIRED(params, 8, learner, EditingAdversary(ENV, Preferences(9)), num_tasks=4)
    trainer = Trainer(env, Thrust(), own, learner.optimizer, config, 8, 20)
    state = trainer.init(KEY)
    before = jax.device_get(state.curriculum.adversary.params)
    state, metrics = trainer.train_steps(state, params, 2)
    after = state.curriculum.adversary.params
    assert np.isfinite(after).all() and not np.array_equal(before, after)
    assert all(np.isfinite(value).all() for value in metrics.values())
    assert ((metrics["adversary_edits"] > 0) & (metrics["adversary_edits"] <= 4)).all()
    assert metrics["policy_steps"].tolist() == [2 * 160, 2 * 160]


def test_wrong_numbers_are_refused():
    for change, match in (
        ({"grid": 0}, "LevelEditing.grid must be at least 1, got 0"),
        ({"edits": ("explode",)}, r"LevelEditing.edits must be some of .*, got \('explode',\)"),
        ({"auto_reset": True}, "LevelEditing.auto_reset must be False"),
    ):
        with pytest.raises(ValueError, match=match):
            dataclasses.replace(ENV, **change)
    with pytest.raises(ValueError, match=r"EditingAdversary\.epochs must be at least 1, got 0"):
        EditingAdversary(ENV, Preferences(9), epochs=0)
