"""PAIRED: regret by hand, an adversary that finds what is rewarded, and a second learner of its own."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.build import make_curriculum
from agents.config import ConfigError, TrainConfig
from agents.curricula import PAIRED, EditingAdversary, Outcome, ParameterAdversary
from agents.curricula.adversary import Learning, NormalPoint
from agents.curricula.paired import regret
from agents.ppo.config import PPOConfig
from agents.ppo.learner import Learner
from agents.ppo.ppo import make_optimizer
from agents.training.trainer import Trainer
from tests.agents.policies import Thrust, same_trees
from tests.kinetix_py.small_levels import TINY, batch, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

KEY = jax.random.key(0)
PARAMS = kx.EnvParams(max_timesteps=20, dense_reward_scale=0.0)
CONFIG = PPOConfig(learning_rate=0.1, minibatch_size=80, num_epochs=1)
BOX = kx.GeneratorBox(("gravity", "friction"), (-10.0, 0.0), (0.0, 2.0))


def outcome(returns, best=None):
    """Rows of one episode each, of which only the return is known."""
    returns = jnp.array(returns, float)
    one, zero = jnp.ones(returns.shape), jnp.zeros(returns.shape)
    best = returns if best is None else jnp.array(best, float)
    return Outcome(one, zero, one, zero, returns, one, best, zero, zero, zero, zero)


def test_regret_by_hand():
    """Two levels, two environments each: the best of theirs less the mean of ours."""
    group = jnp.array([0, 0, 1, 1])
    ours, theirs = outcome([1, 0, -1, -1]).merge(group, 2), outcome([0, 1, -1, 0]).merge(group, 2)
    assert regret(theirs, ours).tolist() == [1 - 0.5, 0 - -1]


@pytest.fixture(scope="module")
def paired():
    env = kx.make(TINY, observation_type="blind", action_type="discrete", auto_reset=True)
    learner = Learner(env, Thrust(), make_optimizer(CONFIG), CONFIG, 20)
    return PAIRED(PARAMS, 8, learner, ParameterAdversary(TINY, BOX), num_tasks=4)


def test_density_and_entropy_of_the_adversary():
    """Of a standard normal distribution in two dimensions, and of one twice as wide."""
    narrow, wide = (NormalPoint(jnp.zeros(2), jnp.full(2, np.log(d))) for d in (1.0, 2.0))
    assert narrow.log_prob(jnp.zeros((1, 2)))[0] == pytest.approx(-np.log(2 * np.pi))
    assert narrow.entropy() == pytest.approx(1 + np.log(2 * np.pi))
    assert wide.entropy() - narrow.entropy() == pytest.approx(2 * np.log(2))


def test_the_adversary_finds_what_is_rewarded():
    """The reward is highest where the first number is 0.8 of its range; the second does not matter."""
    own = ParameterAdversary(TINY, BOX, learning_rate=0.05)

    def update(state, key):
        draws = state.params.sample(key, 64)
        rewards = -jnp.abs(jax.nn.sigmoid(draws[:, 0]) - 0.8)
        return own.learn(key, state, draws, rewards)[0], rewards.mean()

    point = NormalPoint(jnp.zeros(2), jnp.full(2, 0.5))
    start = Learning(point, own.optimizer.init(point))
    end, rewards = jax.jit(lambda state, keys: jax.lax.scan(update, state, keys))(
        start, jax.random.split(KEY, 60)
    )
    assert rewards[-10:].mean() > 0.5 * rewards[:10].mean()  # rewards are negative
    assert jax.nn.sigmoid(end.params.mean[0]) == pytest.approx(0.8, abs=0.1)
    assert end.params.log_deviation[0] < end.params.log_deviation[1]


@pytest.fixture(scope="module")
def asked():
    """Parameters of the generator that were asked for."""
    return []


@pytest.fixture(scope="module")
def trained(paired, asked):
    """Three updates of one program, on rockets in the place of random levels."""
    traces = []

    @dataclasses.dataclass(frozen=True)
    class Counted(Thrust):
        def unroll(self, *arguments):
            traces.append(1)
            return super().unroll(*arguments)

    def rockets(key, n, size, params):
        asked.append(params)
        return batch(rocket(), n)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kx, "sample_levels", rockets)
        learner = dataclasses.replace(paired.antagonist, policy=Counted(2.0))
        own = dataclasses.replace(paired, antagonist=learner)
        trainer = Trainer(learner.env, Counted(-3.0), own, learner.optimizer, CONFIG, 8, 20)
        states, metrics, counts = [trainer.init(KEY)], [], []
        first = jax.device_get((states[0].params, states[0].curriculum))
        for _ in range(3):
            state, measured = trainer.train_steps(states[-1], PARAMS, 1)
            states.append(state)
            metrics.append({name: float(value[0]) for name, value in measured.items()})
            counts.append(len(traces))
    assert counts[0] == counts[-1]
    return first, states[-1], metrics


@pytest.mark.slow
def test_the_antagonist_is_a_learner_of_its_own(trained):
    (params, before), state, metrics = trained
    after = state.curriculum
    assert before.antagonist.params.item() == 2 and params.item() == -3
    assert after.antagonist.params.item() != 2 and state.params.item() != -3
    assert not same_trees(after.antagonist.opt_state, before.antagonist.opt_state)
    assert metrics[0]["policy_steps"] == 2 * 8 * 20  # of both


@pytest.mark.slow
def test_regret_is_the_adversarys_reward(trained):
    """The antagonist thrusts and solves its levels, the agent does not: regret is near 1, and it learns."""
    (_, before), state, metrics = trained
    first = metrics[0]
    assert first["solve_rate_antagonist"] == 1 and first["solve_rate"] < 0.5
    assert first["regret"] == pytest.approx(1 - first["solve_rate"], abs=0.3) and first["regret"] > 0.5
    assert not same_trees(before.adversary, jax.tree.map(np.asarray, state.curriculum.adversary))
    assert np.isfinite(list(first.values())).all() and -10 < first["task/gravity"] < 0


@pytest.mark.slow
def test_levels_are_drawn_at_the_points_of_the_adversary(trained, asked):
    assert asked[0].gravity.shape == asked[0].friction.shape == (4,) and asked[0].density == 1.0


@pytest.mark.slow
def test_another_number_of_devices_keeps_an_adversary_and_its_antagonist(trained, paired):
    state = trained[1].curriculum
    more = paired.redistribute(state, 3)
    assert more.adversary.params.mean.shape == (3, 2) and more.antagonist.params.shape == (3,)
    assert (more.antagonist.params == state.antagonist.params).all()


def test_a_config_makes_both_learners_alike():
    overrides = (
        "curriculum=paired",
        "training.num_envs=128",
        "ppo.minibatch_size=2048",
        "curriculum.num_tasks=32",
    )
    config = TrainConfig.preset("cpu", *overrides, "training.num_devices=2")
    made = make_curriculum(config, config.env.make())
    assert type(made) is PAIRED and made.num_envs == 64 and made.num_tasks == 16 and made.attempts == 4
    assert made.antagonist.ppo == dataclasses.replace(config.ppo, minibatch_size=1024)
    assert made.antagonist.env.auto_reset and made.total_updates == config.training.num_updates
    assert made.adversary == ParameterAdversary(config.env.make().size, learning_rate=0.01)
    building = TrainConfig.preset("cpu", *overrides, "curriculum=paired_editing")
    builder = make_curriculum(building, building.env.make()).adversary
    assert type(builder) is EditingAdversary and builder.env.num_edits == 24
    assert builder.env.size == config.env.make().size and builder.learning_rate == 0.001
    changing = TrainConfig.preset("cpu", *overrides, "env.dense_reward_scale_final=0")
    with pytest.raises(ConfigError, match=r"must be null with curriculum\.kind=paired, whose .*; got 0"):
        make_curriculum(changing, config.env.make())
    for words, named in (
        (["curriculum=plr"], r"curriculum\.score=max_mc"),
        (["curriculum=sfl", "curriculum.score=regret"], r"curriculum\.score=regret"),
        (["curriculum=alp_gmm"], r"curriculum\.teacher=alp_gmm"),
        (["curriculum=sfl"], None),
        (["curriculum=adr"], None),
    ):
        config = TrainConfig.preset("cpu", *words, "env.dense_reward_scale_final=0")
        if named is None:
            make_curriculum(config, config.env.make())
            continue
        with pytest.raises(ConfigError, match=f"must be null with {named}, which compares returns"):
            make_curriculum(config, config.env.make())


def test_wrong_numbers_are_refused(paired):
    with pytest.raises(ValueError, match=r"PAIRED\.num_envs must be a multiple of num_tasks, 3, got 8"):
        dataclasses.replace(paired, num_tasks=3)
    for change, match in (
        ({"learning_rate": 0.0}, "ParameterAdversary.learning_rate must be above 0, got 0.0"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"entropy_coef": -1.0}, "entropy_coef must be at least 0, got -1.0"),
    ):
        with pytest.raises(ValueError, match=match):
            dataclasses.replace(paired.adversary, **change)
    with pytest.raises(ConfigError, match=r"adversary must be one of \('parameters', 'edits'\), got 'walls'"):
        TrainConfig.preset("cpu", "curriculum=paired", "curriculum.adversary=walls")
