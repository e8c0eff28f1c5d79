"""Mirrored experience: which steps are mirrored, and what is learnt from them."""

from __future__ import annotations

import dataclasses
import functools

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.build import make_trainer
from agents.config import ConfigError, TrainConfig
from agents.policy import Policy, PolicyOutput
from agents.ppo.config import PPOConfig
from agents.ppo.loss import OldPolicyTerms, standardize
from agents.ppo.mirror import mirror_first
from agents.ppo.ppo import Minibatch, make_optimizer, minibatch_loss, ppo_update, shuffled_indices
from agents.ppo.rollout import Transitions
from kinetix_py.observations.entity import SHAPE_FEATURES
from tests.agents.policies import same_trees
from tests.kinetix_py.small_levels import TINY, car

pytestmark = pytest.mark.usefixtures("compiled_fast")

ENV = kx.make(TINY, action_type="discrete")
STEPS, COUNT = 4, 2


@dataclasses.dataclass(frozen=True)
class Places(Policy):
    """Turns the motor by where the car's box is, from the room's middle; linear in its place and in 1."""

    def init(self, key):
        return {"actor": jnp.array([[0.5, 0.2], [-0.5, 0.1]]), "critic": jnp.array([0.3, 0.0])}

    def unroll(self, params, carry, obs, reset, action_mask=None):
        x = obs.shapes[..., 4, SHAPE_FEATURES["position"].start] - 2.5
        inputs = jnp.stack([x, jnp.ones_like(x)], axis=-1)
        turn = inputs @ params["actor"].T
        others = jnp.zeros((*turn.shape[:-1], ENV.action_space.n - 2))
        logits = jnp.where(action_mask, jnp.concatenate([turn, others], axis=-1), -1e9)
        value = jnp.abs(x) * params["critic"][0] + params["critic"][1]
        return PolicyOutput(carry, distrax.Categorical(logits=logits), value)


# Its logits are odd in the place, its value is even: it does in the mirror what it does outside.
SYMMETRIC = {"actor": jnp.array([[0.5, 0.0], [-0.5, 0.0]]), "critic": jnp.array([0.3, 0.1])}


@pytest.fixture(scope="module")
def rollout():
    """Transitions `[STEPS, COUNT]` of a car in random places, under random turns of its motor."""
    return jax.jit(random_transitions)(car())


def random_transitions(level):
    """Transitions of that fixture: of the body in slot 4 of a level in random places."""
    _, state = ENV.reset_to_level(level)
    wide = lambda value: jnp.broadcast_to(value, (STEPS, COUNT, *jnp.shape(value)))
    obs = jax.tree.map(wide, ENV.observe(state))
    keys = jax.random.split(jax.random.key(0), 5)
    places = jax.random.uniform(keys[0], (STEPS, COUNT), minval=0.5, maxval=4.5)
    obs = dataclasses.replace(obs, shapes=obs.shapes.at[..., 4, 0].set(places))
    draw = lambda key: jax.random.normal(key, (STEPS, COUNT))
    never = jnp.zeros((STEPS, COUNT), bool)
    mask, action = wide(ENV.action_mask(state)), jax.random.randint(keys[1], (STEPS, COUNT), 0, 2)
    policy = Places()
    found = policy.unroll(SYMMETRIC, (), obs, never, mask)
    return Transitions(
        obs=obs,
        reset=never,
        action_mask=mask,
        action=action,
        log_prob=found.distribution.log_prob(action),
        value=draw(keys[2]),
        next_value=draw(keys[3]),
        reward=draw(keys[4]),
        terminated=never,
        done=never,
        info={},
    )


@jax.jit
def mirrored(steps):
    """Every step in its mirror image."""
    obs, action = kx.mirror_observation(steps.obs), ENV.action_adapter.mirror(steps.action)
    return dataclasses.replace(steps, obs=obs, action=action)


def single(steps):
    """The steps of a rollout as one minibatch `[1, STEPS * COUNT]`."""
    return jax.tree.map(lambda leaf: leaf.reshape(1, -1, *leaf.shape[2:]), steps)


def test_the_first_steps_are_mirrored_and_nothing_else(rollout):
    steps = single(rollout)
    mirror = jax.jit(lambda steps: mirror_first(steps, 0.3, ENV.action_adapter))
    found, image = jax.device_get(mirror(steps)), jax.device_get(mirrored(steps))
    steps = jax.device_get(steps)
    x = lambda steps: np.asarray(steps.obs.shapes[0, :, 4, 0])
    np.testing.assert_allclose(x(found)[:2], 5 - x(steps)[:2], rtol=1e-6)  # 0.3 of 8 steps are 2
    np.testing.assert_array_equal(found.action[0, :2], 1 - steps.action[0, :2])
    for which, expected in ((slice(2), image), (slice(2, None), steps)):
        part = lambda tree, which=which: jax.tree.map(lambda leaf: leaf[:, which], tree)
        assert same_trees(part(found.obs), part(expected.obs))
        np.testing.assert_array_equal(found.action[:, which], expected.action[:, which])
    kept = lambda steps: dataclasses.replace(steps, obs=None, action=None)
    assert same_trees(kept(found), kept(steps))


def test_a_symmetric_policy_learns_the_same_from_mirror_images(rollout):
    """Its ratios begin at 1 on both sides; those of any other policy do not."""
    policy, config = Places(), PPOConfig(mirror=0.5)
    steps = single(rollout)
    old = OldPolicyTerms(steps.log_prob, steps.value, standardize(steps.reward), steps.next_value)

    @functools.partial(jax.jit, static_argnums=1)
    def terms(params, share):
        part = Minibatch(mirror_first(steps, share, ENV.action_adapter), old, ())
        return minibatch_loss(params, policy, part, config)[1]

    plain = terms(SYMMETRIC, 0.0)
    assert abs(float(plain.kl)) < 1e-6
    for share in (0.5, 1.0):
        np.testing.assert_allclose(terms(SYMMETRIC, share), plain, rtol=1e-4, atol=1e-6)
    leaning = policy.init(None)
    # A policy that leans to one side is compared with its mirror image: what it does here, that does there.
    turned = leaning | {"actor": leaning["actor"][::-1] * jnp.array([[-1.0, 1.0]])}
    np.testing.assert_allclose(terms(leaning, 1.0), terms(turned, 0.0), rtol=1e-4, atol=1e-6)
    assert float(terms(leaning, 1.0).kl) > 1e-3


def test_an_update_learns_from_the_mirror_images_of_its_minibatches(rollout):
    """A share of 1 is an update on the mirrored rollout."""
    policy, params = Places(), Places().init(None)
    plain = PPOConfig(learning_rate=0.1, minibatch_size=4, num_epochs=2)
    optimizer = make_optimizer(plain)

    @jax.jit
    def update(steps):
        run = lambda config, steps: (
            ppo_update(
                jax.random.key(1),
                policy,
                params,
                optimizer.init(params),
                optimizer,
                steps,
                (),
                config,
                actions=ENV.action_adapter,
            ).params
        )
        whole = dataclasses.replace(plain, mirror=1.0)
        return run(whole, steps), run(plain, mirrored(steps)), run(plain, steps)

    learnt, expected, unlike = update(rollout)
    for name in params:
        np.testing.assert_allclose(learnt[name], expected[name], rtol=1e-5)
        assert np.abs(learnt[name] - unlike[name]).max() > 1e-3
    with pytest.raises(ValueError, match=r"mirror=0\.5 needs the action type, got None"):
        half = PPOConfig(mirror=0.5, minibatch_size=4)
        ppo_update(jax.random.key(1), policy, params, None, optimizer, rollout, (), half)


def test_what_cannot_be_mirrored_is_refused():
    preset = lambda *overrides: make_trainer(TrainConfig.preset("cpu", "ppo.mirror=0.5", *overrides))
    assert preset().ppo.mirror == 0.5
    with pytest.raises(ConfigError, match=r"mirror=0\.5 needs entity observations, got 'flat'"):
        preset("env.observation_type=flat", "network=mlp")
    with pytest.raises(ConfigError, match=r"mirror=0\.5 needs a policy without memory"):
        preset("network.recurrent=true")
    with pytest.raises(ValueError, match=r"mirror must be in 0 \.\. 1, got 2"):
        PPOConfig(mirror=2)


def test_what_is_learnt_from_comes_first_and_is_spread_in_its_minibatches():
    """Of 16 environments 6 are learnt from, 6 x 64 steps: a minibatch and a half of 256 in random order."""
    learn = jnp.arange(16) % 8 < 3
    index = np.asarray(shuffled_indices(jax.random.key(0), 64, 16, 4, False, learn))
    assert sorted(index.ravel()) == list(range(1024))
    chosen = np.asarray(learn)[index % 16]
    assert chosen.sum(1).tolist() == [256, 128, 0, 0]
    assert 40 < chosen[1, :128].sum() < 88  # in its first half about half of them: 64, standard deviation 6
