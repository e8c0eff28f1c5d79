"""Advantages and loss worked by hand, the seams of a rollout, and learning shown by learning."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.ppo.config import PPOConfig
from agents.ppo.gae import advantages
from agents.ppo.loss import OldPolicyTerms, ppo_loss, squared_error, standardize
from agents.ppo.ppo import (
    Minibatch,
    learning_rate_schedule,
    make_optimizer,
    minibatch_gradient,
    minibatch_loss,
    ppo_update,
    shuffled_indices,
    take_minibatch,
)
from agents.ppo.rollout import Transitions, rollout, start_runner
from tests.agents.policies import Clock, Histogram, Linear, same_trees
from tests.kinetix_py.small_levels import TINY, batch, falling, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

KEY = jax.random.key(0)


# Policy and config are static: each pair of them is one program.
loss_of_minibatch = jax.jit(minibatch_loss, static_argnums=(1, 3))
gradient_of_minibatch = jax.jit(minibatch_gradient, static_argnums=(1, 3))


def column(*values):
    return jnp.array(values, jnp.float32)[:, None]


def test_advantages_by_hand():
    """Gamma 0.5, lambda 0.5, values all 1: d_t = r_t + 0.5 - 1, A_t = d_t + 0.25 A_{t+1}."""
    ones, never = column(1, 1, 1), jnp.zeros((3, 1), bool)
    result, target = advantages(column(1, 0, 2), ones, ones, never, never, 0.5, 0.5)
    # d = 0.5, -0.5, 1.5; A_2 = 1.5, A_1 = -0.5 + 0.375, A_0 = 0.5 - 0.03125.
    np.testing.assert_allclose(result[:, 0], [0.46875, -0.125, 1.5])
    np.testing.assert_allclose(target[:, 0], [1.46875, 0.875, 2.5])


def test_a_truncated_episode_bootstraps_and_a_terminated_one_does_not():
    ones, last = column(1, 1), jnp.array([[False], [True]])
    cut = advantages(column(0, 0), ones, column(1, 4), jnp.zeros((2, 1), bool), last, 0.5, 1.0)[0]
    ended = advantages(column(0, 0), ones, column(1, 4), last, last, 0.5, 1.0)[0]
    np.testing.assert_allclose(cut[:, 0], [-0.5 + 0.5 * 1.0, 0.5 * 4 - 1])
    np.testing.assert_allclose(ended[:, 0], [-0.5 + 0.5 * -1.0, -1])


def test_nothing_flows_over_an_episodes_end():
    done = jnp.array([[True], [False]])
    zeros = jnp.zeros((2, 1))
    result = advantages(column(0, 5), zeros, zeros, done, done, 0.9, 0.9)[0]
    np.testing.assert_allclose(result[:, 0], [0, 5])


def test_the_loss_by_hand():
    """Two samples, ratios 1.5 and 0.5, advantages 1 and 1, clip 0.2."""
    old = OldPolicyTerms(jnp.zeros(2), jnp.array([1.0, 1.0]), jnp.array([1.0, 1.0]), jnp.array([2.0, 1.0]))
    log_prob, value = jnp.log(jnp.array([1.5, 0.5])), jnp.array([1.5, 1.1])
    weights = {"clip_eps": 0.2, "value_coef": 0.5, "entropy_coef": 0.1}
    error = squared_error(value, old, 0.2)
    terms = ppo_loss(log_prob, jnp.array([0.3, 0.5]), error, old, **weights)
    # Policy: -(min(1.5, 1.2) + min(0.5, 0.8)) / 2 = -0.85.
    assert terms.policy == pytest.approx(-0.85)
    # Value: max(0.25, (1.2 - 2)^2) = 0.64 and max(0.01, 0.01); half their mean.
    assert terms.value == pytest.approx(0.5 * (0.64 + 0.01) / 2)
    assert terms.entropy == pytest.approx(0.4)
    assert terms.total == pytest.approx(-0.85 + 0.5 * 0.1625 - 0.1 * 0.4)
    assert terms.kl == pytest.approx((0.5 - np.log(1.5) - 0.5 - np.log(0.5)) / 2, rel=1e-5)
    assert terms.clipped == 1


def test_the_error_of_values_by_hand():
    """An old value of 1; whether its change is bounded by 0.2 matters only where it nears the target."""
    value, target = jnp.array([1.5, 0.5, 1.1]), jnp.array([2.0, 2.0, 1.0])
    old = OldPolicyTerms(jnp.zeros(3), jnp.ones(3), jnp.zeros(3), target)
    np.testing.assert_allclose(squared_error(value, old, None), [0.125, 1.125, 0.005], rtol=1e-5)
    np.testing.assert_allclose(squared_error(value, old, 0.2), [0.32, 1.125, 0.005], rtol=1e-5)
    slope = lambda clip_eps: jax.grad(lambda value: squared_error(value, old, clip_eps).sum())(value)
    np.testing.assert_allclose(slope(None), [-0.5, -1.5, 0.1], rtol=1e-5)
    np.testing.assert_allclose(slope(0.2), [0.0, -1.5, 0.1], rtol=1e-5)


def minibatch(obs, action, old):
    """A minibatch `[1, B]` of single steps in which every action is allowed."""
    batch = {"obs": obs[None], "action": action[None], "reset": jnp.ones((1, len(obs)), bool)}
    batch |= {"action_mask": jnp.ones((1, 1, 1), bool)}
    unread = {field.name: None for field in dataclasses.fields(Transitions) if field.name not in batch}
    return Minibatch(Transitions(**batch, **unread), OldPolicyTerms(*[term[None] for term in old]), ())


def test_clipping_of_values_can_be_turned_off():
    """A value that moved from 1 to 1.5 on its way to 2 is at 1.2, if its change counts up to 0.2 only."""
    old = OldPolicyTerms(jnp.full(1, -jnp.log(2.0)), jnp.ones(1), jnp.zeros(1), jnp.full(1, 2.0))
    part = minibatch(jnp.ones((1, 1)), jnp.zeros(1, int), old)
    params = {"actor": jnp.zeros((1, 2)), "critic": jnp.full((1, 1), 1.5)}
    for clip, error in ((True, 0.8), (False, 0.5)):
        _, terms = loss_of_minibatch(params, Linear(1, 2), part, PPOConfig(value_clip=clip))
        assert terms.value == pytest.approx(error**2 / 2)


def test_a_critic_that_classifies_learns_by_cross_entropy():
    """Against a histogram that is flat over 5 bins, the cross-entropy of any target is log 5."""
    policy = Histogram(1, 2)
    params = policy.init(KEY) | {"critic": jnp.zeros((1, 5))}
    old = OldPolicyTerms(jnp.full(1, -jnp.log(2.0)), jnp.ones(1), jnp.zeros(1), jnp.full(1, 1.3))
    part = minibatch(jnp.ones((1, 1)), jnp.zeros(1, int), old)
    config = PPOConfig(value_coef=0.5, entropy_coef=0.0)
    total, terms = loss_of_minibatch(params, policy, part, config)
    assert terms.value == pytest.approx(np.log(5)) and total == pytest.approx(0.5 * np.log(5))
    step = jax.jit(policy.step)(params, (), jnp.ones((1, 1)), jnp.ones(1, bool), jnp.ones((1, 1), bool))
    assert step.value_histogram.logits.shape == (1, 5) and abs(float(step.value[0])) < 1e-6


def test_the_weight_of_the_entropy_may_change_over_the_run():
    """From 0.2 to 0; the entropy of a fair coin is log 2."""
    config = PPOConfig(entropy_coef=0.2, entropy_coef_final=0.0, value_coef=0.0)
    old = OldPolicyTerms(jnp.full(1, -jnp.log(2.0)), jnp.ones(1), jnp.zeros(1), jnp.ones(1))
    part = minibatch(jnp.ones((1, 1)), jnp.zeros(1, int), old)
    params = {"actor": jnp.zeros((1, 2)), "critic": jnp.zeros((1, 1))}
    for progress, weight in ((0.0, 0.2), (0.25, 0.15), (1.0, 0.0)):
        total, _ = loss_of_minibatch(params, Linear(1, 2), part, config, progress=progress)
        assert total == pytest.approx(-weight * np.log(2), abs=1e-6)
    assert PPOConfig(entropy_coef=0.2).entropy_coef_at(1.0) == 0.2


@pytest.mark.parametrize("steps", [2, 3])
def test_accumulated_gradients_are_those_of_the_whole_minibatch(steps):
    """Also where the parts of a minibatch differ as much as their order allows."""
    rows, policy = 6, Linear(2, 3)
    draw = lambda seed, *shape: jax.random.normal(jax.random.key(seed), shape)
    old = OldPolicyTerms(draw(0, rows) - 1, draw(1, rows), jnp.sort(draw(2, rows)), draw(3, rows))
    part = minibatch(draw(4, rows, 2), jnp.arange(rows) % 3, old)
    allowed = jnp.ones((1, rows, 3), bool)
    part = part._replace(transitions=dataclasses.replace(part.transitions, action_mask=allowed))
    params = jax.tree.map(lambda leaf: draw(5, *leaf.shape), policy.init(KEY))
    whole, cut = (
        gradient_of_minibatch(params, policy, part, PPOConfig(accumulation_steps=count), 0.0)
        for count in (1, steps)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), whole, cut)
    assert float(whole[1].clipped) > 0 and max(np.abs(leaf).max() for leaf in jax.tree.leaves(whole[0])) > 0.1


def test_a_negative_advantage_is_not_clipped_from_above():
    old = OldPolicyTerms(jnp.zeros(1), jnp.zeros(1), jnp.array([-1.0]), jnp.zeros(1))
    weights = {"clip_eps": 0.2, "value_coef": 0.0, "entropy_coef": 0.0}
    up = ppo_loss(jnp.log(jnp.array([2.0])), jnp.zeros(1), jnp.zeros(1), old, **weights)
    down = ppo_loss(jnp.log(jnp.array([0.5])), jnp.zeros(1), jnp.zeros(1), old, **weights)
    assert up.policy == pytest.approx(2.0) and down.policy == pytest.approx(0.8)


def test_standardized_advantages():
    np.testing.assert_allclose(standardize(jnp.array([1.0, 3.0])), [-1, 1], rtol=1e-5)
    assert np.isfinite(standardize(jnp.ones(4))).all()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"gamma": 1.5}, "gamma must be in 0 .. 1, got 1.5"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, got 0.0"),
        ({"minibatch_size": 0}, "minibatch_size must be an integer of at least 1, got 0"),
        ({"accumulation_steps": 0}, "accumulation_steps must be an integer of at least 1, got 0"),
    ],
)
def test_wrong_numbers_are_refused(change, match):
    with pytest.raises(ValueError, match=match):
        PPOConfig(**change)


def test_minibatches_must_be_equal():
    config = PPOConfig(minibatch_size=20)
    with pytest.raises(ValueError, match=r"must divide the 70 steps of a rollout \(10 .* x 7\), got 20"):
        config.num_minibatches(10, 7)
    with pytest.raises(ValueError, match="multiple of the rollout's length 8 for a policy"):
        config.num_minibatches(10, 8, recurrent=True)
    assert config.num_minibatches(10, 8) == 4
    with pytest.raises(ValueError, match="must divide the 20 sequences of a minibatch, got 3"):
        PPOConfig(minibatch_size=20, accumulation_steps=3).num_minibatches(10, 8)
    with pytest.raises(ValueError, match="must divide the 2 sequences of a minibatch, got 4"):
        PPOConfig(minibatch_size=16, accumulation_steps=4).num_minibatches(10, 8, recurrent=True)
    with pytest.raises(ValueError, match="anneal_lr"):
        make_optimizer(PPOConfig(anneal_lr=True))


@pytest.mark.parametrize(
    ("change", "rates"),
    [
        ({}, [1, 1, 1, 1, 1]),
        ({"anneal_lr": True}, [1, 0.75, 0.5, 0.25, 0]),
        ({"lr_warmup": 0.25}, [0, 1, 1, 1, 1]),
        ({"lr_warmup": 0.5, "anneal_lr": True}, [0, 0.5, 1, 0.5, 0]),
    ],
)
def test_learning_rates_by_hand(change, rates):
    """A rate of 1 over 8 gradients: before the first, after every second one."""
    rate = learning_rate_schedule(PPOConfig(learning_rate=1.0, **change), 8)
    np.testing.assert_allclose([rate(count) for count in (0, 2, 4, 6, 8)], rates, rtol=1e-6)


def test_a_learning_rate_that_rises_begins_with_no_step():
    optimizer = make_optimizer(PPOConfig(lr_warmup=0.5), 8)
    state, steps = optimizer.init(jnp.ones(1)), []
    for _ in range(3):
        step, state = optimizer.update(jnp.ones(1), state)
        steps.append(float(step[0]))
    assert steps[0] == 0 and steps[2] < steps[1] < 0
    with pytest.raises(ValueError, match=r"lr_warmup=0.5 needs the number of gradients"):
        make_optimizer(PPOConfig(lr_warmup=0.5))


@pytest.fixture(scope="module")
def clocked():
    """Two rollouts of 4 steps, an episode of 4 steps each, of a batch of two."""
    size = dataclasses.replace(TINY, num_thruster_bindings=0)
    env = kx.make(size, observation_type="blind", action_type="discrete", auto_reset=True)
    params, policy = kx.EnvParams(max_timesteps=4), Clock()
    levels = batch(falling(env.size, gravity=0.0), 2)
    runner = jax.jit(lambda levels: start_runner(env, levels, params, policy))(levels)
    play = jax.jit(lambda key, runner: rollout(key, policy, (), runner, env, params, 4))
    first = play(KEY, runner)
    return first, play(KEY, first[0])


def test_a_truncated_step_is_valued_by_its_last_observation(clocked):
    (_, steps), _ = clocked
    # The clock shows 0, 1/4, 1/2, 3/4 before the steps; after the last it showed 1 before the reset.
    np.testing.assert_allclose(steps.value[:, 0], [0, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(steps.next_value[:, 0], [0.25, 0.5, 0.75, 1.0])
    assert steps.done[:, 0].tolist() == [False, False, False, True] and not steps.terminated.any()


def test_a_rollout_beyond_the_time_limit_is_refused(clocked):
    """Its first truncation would be valued by the observation of the second."""
    (runner, _), _ = clocked
    env, params = kx.make(runner.env_state.size, auto_reset=True), kx.EnvParams(max_timesteps=4)
    with pytest.raises(ValueError, match="at most the time limit of 4 steps long, got 5"):
        rollout(KEY, Clock(), (), runner, env, params, 5)


@pytest.mark.parametrize("recurrent", [False, True])
def test_minibatches_hold_every_step_once(recurrent):
    """A rollout `[3, 4]` whose entries are their own numbers, in minibatches of 6 steps."""
    numbers = jnp.arange(12.0).reshape(3, 4)
    old = OldPolicyTerms(*[numbers] * 4)
    index = shuffled_indices(KEY, 3, 4, 2, recurrent)
    take = lambda row: take_minibatch(row, {"obs": numbers}, old, (jnp.arange(4),), recurrent)
    parts = [take(row) for row in index]
    assert sorted(float(x) for part in parts for x in part.old.value.ravel()) == list(range(12))
    for part in parts:
        np.testing.assert_array_equal(part.transitions["obs"], part.old.advantage)
        if recurrent:  # whole environments, in the order of time, each with its memory
            assert part.old.value.shape == (3, 2)
            np.testing.assert_array_equal(part.old.value[0], part.carry[0])
            np.testing.assert_array_equal(jnp.diff(part.old.value, axis=0), 4)
        else:
            assert part.old.value.shape == (1, 6) and part.carry == ()


def test_memory_begins_anew_with_every_episode_over_rollouts(clocked):
    (runner, steps), (later, again) = clocked
    assert steps.reset[:, 0].tolist() == [True, False, False, False]
    assert runner.reset.all() and again.reset[0].all()
    assert runner.carry.tolist() == [4, 4] and later.carry.tolist() == [4, 4]
    np.testing.assert_array_equal(steps.value, again.value)


def features(state, params):
    """Speed and place of the ball, and 1."""
    ball = state.size.num_polygons
    sim = state.sim
    return jnp.stack([sim.velocity[ball, 0], sim.position[ball, 0], jnp.float32(1)])


@pytest.mark.slow
@pytest.mark.parametrize("recurrent", [False, True])
def test_learning_beats_chance(recurrent):
    """The complete run of `test_run` learns in the default suite, this for three seeds.

    A ball must fly 1.6 m to the right within 16 steps, which throttle half the time does not reach.
    """
    env = kx.make(TINY, observation_type=features, action_type="discrete", auto_reset=True)
    params, policy = kx.EnvParams(max_timesteps=16), Linear(3, 11, as_recurrent=recurrent)
    # A time limit is no punishment, since a truncated episode is bootstrapped: the discount asks for speed.
    config = PPOConfig(learning_rate=0.02, gamma=0.9, minibatch_size=128)
    optimizer = make_optimizer(config)

    def train(key):
        weights = policy.init(key)
        runner = start_runner(env, batch(rocket(), 32), params, policy)

        def update(carry, key):
            weights, opt_state, runner = carry
            play_key, learn_key = jax.random.split(key)
            runner, steps = rollout(play_key, policy, weights, runner, env, params, 16)
            weights, opt_state, *_ = ppo_update(
                learn_key, policy, weights, opt_state, optimizer, steps, (), config
            )
            ended = jnp.maximum(steps.done.sum(), 1)
            return (weights, opt_state, runner), steps.info["solved"].sum() / ended

        keys = jax.random.split(key, 20)
        return jax.lax.scan(update, (weights, optimizer.init(weights), runner), keys)[1]

    solved = np.asarray(jax.jit(jax.vmap(train))(jax.random.split(KEY, 3)))
    assert (solved[:, 0] < 0.5).all(), solved
    assert (solved[:, -3:].mean(1) > 0.9).all(), solved


@pytest.fixture(scope="module")
def steps():
    """A rollout `[3, 4]` of a linear policy, of random numbers."""
    draw = lambda i, *shape: jax.random.normal(jax.random.fold_in(KEY, i), (3, 4, *shape))
    never = jnp.zeros((3, 4), bool)
    numbers = {name: draw(i) for i, name in enumerate(("log_prob", "value", "next_value", "reward"))}
    mask, action = jnp.ones((3, 4, 2), bool), jnp.int32(draw(4) > 0)
    return Transitions(
        obs=draw(5, 2),
        reset=never,
        action_mask=mask,
        action=action,
        terminated=never,
        done=never,
        info={},
        **numbers,
    )


@pytest.mark.parametrize("recurrent", [False, True])
def test_environments_that_are_not_learnt_from_are_in_no_gradient(steps, recurrent):
    """Environments 1 and 3 alone: as a rollout of these two, whatever was played in the others.

    In two minibatches: one of the chosen steps, and one that is left out, the optimizer's step included.
    """
    policy = Linear(2, 2, as_recurrent=recurrent)
    params = policy.init(KEY)
    optimizer = make_optimizer(PPOConfig(learning_rate=0.1))
    config = PPOConfig(minibatch_size=6, num_epochs=2)

    @jax.jit
    def update(steps, learn):
        return ppo_update(
            KEY, policy, params, optimizer.init(params), optimizer, steps, (), config, learn=learn
        )

    chosen = jnp.array([False, True, False, True])
    result = update(steps, chosen)
    alone = update(jax.tree.map(lambda leaf: leaf[:, chosen], steps), None)
    for found, expected in zip(jax.tree.leaves(result[:4]), jax.tree.leaves(alone[:4]), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert float(jnp.abs(result.params["actor"]).max()) > 0.01
    other = jax.tree.map(
        lambda leaf: jnp.where(
            chosen.reshape((4,) + (1,) * (leaf.ndim - 2)), leaf, ~leaf if leaf.dtype == bool else 7 - leaf
        ),
        steps,
    )
    assert same_trees(update(other, chosen)[:4], result[:4])
    nothing = update(steps, jnp.zeros(4, bool))
    assert same_trees((nothing.params, nothing.opt_state), (params, optimizer.init(params)))
    assert not any(float(term) for term in nothing.terms) and nothing.grad_norm == 0


def test_part_of_a_minibatch_may_be_learnt_from(steps):
    """One minibatch of all steps, a quarter of which counts."""
    policy, optimizer = Linear(2, 2), make_optimizer(PPOConfig(learning_rate=0.1))
    params = policy.init(KEY)
    update = lambda steps, size, learn: ppo_update(
        KEY,
        policy,
        params,
        optimizer.init(params),
        optimizer,
        steps,
        (),
        PPOConfig(minibatch_size=size),
        learn=learn,
    )
    part = jax.jit(lambda steps: update(steps, 12, jnp.arange(4) == 2))(steps)
    alone = jax.jit(lambda steps: update(steps, 3, None))(jax.tree.map(lambda leaf: leaf[:, 2:3], steps))
    for found, expected in zip(jax.tree.leaves(part[:4]), jax.tree.leaves(alone[:4]), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
