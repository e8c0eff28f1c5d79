"""Evaluations: what an attempt counts, sets and their names, baselines, records."""

from __future__ import annotations

import dataclasses
import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_py as kx
from agents.config import ConfigError, TrainConfig
from agents.evaluation import evaluate as evaluating
from agents.evaluation.baselines import HeldActionPolicy, HeldParams, baseline_policies
from agents.evaluation.episodes import attempt_levels, play_levels
from agents.evaluation.evaluate import NamedPolicy, evaluate, evaluate_policies, suited_batch_size
from agents.evaluation.evaluation import Conditions, RunInfo, read_evaluations, write_evaluations
from agents.evaluation.keys import EvaluationKeys
from agents.evaluation.seeds import FINAL_SEED, SEED
from agents.levels import load_level_sets, make_level_set, random_level_set, sibling_marks, unique_names
from agents.policy import UniformPolicy
from agents.training.keys import RunKeys
from agents.training.report import evaluation_sets
from kinetix_py import SIZES, list_levels
from tests.agents.policies import Thrust
from tests.agents.records import record
from tests.kinetix_py.small_levels import TINY, falling, rocket

pytestmark = pytest.mark.usefixtures("compiled_fast")

KEY = jax.random.key(0)
LEVELS = (falling(), falling(red=True), falling(gravity=0.0), rocket())
POLICY, PARAMS = Thrust(), kx.EnvParams(max_timesteps=40)


@pytest.fixture(scope="module")
def env():
    return kx.make(TINY, observation_type="blind", action_type="discrete")


def test_attempts_count_the_first_episode_only(env):
    levels, options = kx.stack_levels(LEVELS), {"attempts": 4, "max_steps": 40}
    always, never = np.float32(99), np.float32(-99)
    results = attempt_levels(KEY, POLICY, always, env, levels, PARAMS, **options)
    solved, length = results.solved, results.length
    np.testing.assert_array_equal(solved, np.array([1, 0, 0, 1], bool)[:, None].repeat(4, 1))
    assert (np.ptp(length, axis=1) == 0).all() and length[2, 0] == 40 and 12 <= length[0, 0] <= 16
    assert not attempt_levels(KEY, POLICY, never, env, levels, PARAMS, **options).solved[3].any()
    with pytest.raises(ValueError, match="auto_reset"):
        attempt_levels(KEY, POLICY, always, kx.make(TINY, auto_reset=True), levels, PARAMS)


def test_sets_are_evaluated_in_calls_of_one_program(env):
    """Six levels three times, in calls of sixteen episodes: each is counted once, in its place."""
    levels = kx.stack_levels([*LEVELS, *LEVELS[:2]])
    marks = (True, False, False, False, False, False)
    chosen, counts = make_level_set("set", levels, "abcdef", trained_on=marks), []
    options = {"batch_size": 16, "run": RunInfo("r"), "progress": counts.append}
    result = evaluate(KEY, POLICY, np.float32(99), env, chosen, PARAMS, attempts=3, **options)
    np.testing.assert_array_equal(result.level_rates, [1, 0, 0, 1, 1, 0])
    assert result.solved.shape == (6, 3) and counts == [16, 2]
    assert result.label == "r (agent)" and result.levels.trained_on == marks
    before = play_levels._cache_size()
    for attempts in (1, 9):  # one call, and four, several at once
        again = evaluate(KEY, POLICY, np.float32(99), env, levels, PARAMS, attempts=attempts, batch_size=16)
        np.testing.assert_array_equal(again.level_rates, result.level_rates)
    everywhere = jax.sharding.Mesh(np.array(jax.devices()), ("devices",))
    replicated = jax.sharding.NamedSharding(everywhere, jax.sharding.PartitionSpec())
    for place in (replicated, jax.devices()[0]):  # as in training on two devices, as from a checkpoint
        params = jax.device_put(jnp.float32(99), place)
        again = evaluate(KEY, POLICY, params, env, chosen, PARAMS, attempts=3, batch_size=16)
        np.testing.assert_array_equal(again.solved, result.solved)
    assert play_levels._cache_size() == before
    with pytest.raises(ValueError, match="must be at least 1, got 6, 0 and None"):
        evaluate(KEY, POLICY, np.float32(0), env, levels, PARAMS, attempts=0)
    with pytest.raises(ValueError, match="at least 1, got 6, 20 and 0"):
        evaluate(KEY, POLICY, np.float32(0), env, levels, PARAMS, batch_size=0)


def test_lengths_of_calls_are_powers_of_two_up_to_what_suits_the_machine():
    assert [suited_batch_size(count) for count in (1, 2, 3, 64, 65, 512, 513, 10_000)] == [
        1,
        2,
        4,
        64,
        128,
        512,
        512,
        512,
    ]


def test_the_most_likely_action_is_played_once(env):
    """A slight preference for thrust: sampled it is one of two actions, as the mode it is always on."""
    level = kx.stack_levels([rocket()])
    options = {"attempts": 16, "batch_size": 16}
    sampled = evaluate(KEY, POLICY, np.float32(0.1), env, level, PARAMS, **options)
    likely = evaluate(KEY, POLICY, np.float32(0.1), env, level, PARAMS, mode=True, **options)
    always = evaluate(KEY, POLICY, np.float32(99), env, level, PARAMS, **options)
    assert likely.solved.shape == (1, 1) and likely.solved.all() and likely.deterministic
    assert likely.interval == (1, 1) and likely.interval_kind == "exact"
    assert likely.length[0, 0] == always.length[0, 0] < sampled.length.mean()


def test_the_random_policy_is_uniform_among_what_a_level_allows():
    for action in ("multi_discrete", "discrete", "continuous"):
        env = kx.make("s", observation_type="blind", action_type=action)
        _, state = env.reset_to_level(rocket())
        mask = env.action_mask(state)[None]
        policy = UniformPolicy(env)
        output = policy.step(policy.init(KEY), policy.initial_carry(1), (), np.ones(1, bool), mask)
        distribution = output.distribution
        drawn = np.asarray(distribution.sample(seed=jax.random.key(1), sample_shape=(512,)))[:, 0]
        if action == "multi_discrete":  # one thruster is bound
            assert set(drawn[:, 4]) == {0, 1} and abs(drawn[:, 4].mean() - 0.5) < 0.1
            assert (drawn[:, [0, 1, 2, 3, 5]] == 0).all()
        elif action == "discrete":
            assert set(drawn) == {8, 9} and abs((drawn == 9).mean() - 0.5) < 0.1
        else:
            assert 0 <= drawn[:, 4].min() < 0.05 and 0.95 < drawn[:, 4].max() <= 1
    with pytest.raises(ValueError, match="action mask"):
        policy.step((), (), (), np.ones(1, bool))


@pytest.mark.parametrize("action", ["multi_discrete", "discrete", "continuous"])
def test_held_actions_last_their_steps_and_begin_anew_with_an_episode(action):
    """Two environments for 20 steps; an episode of the second one begins at its step 4."""
    env = kx.make("s", observation_type="blind", action_type=action)
    _, state = env.reset_to_level(rocket())
    mask = jnp.broadcast_to(env.action_mask(state), (20, 2, *env.action_mask(state).shape))
    reset = np.zeros((20, 2), bool)
    reset[0], reset[4, 1] = True, True
    policy = HeldActionPolicy(env)

    @jax.jit
    def play(params, key):
        return policy.unroll(params, policy.initial_carry(2), (), reset, mask).distribution.sample(seed=key)

    def actions(hold, seed):
        params = HeldParams(jax.random.key(seed), jnp.int32(hold))
        drawn = [np.asarray(play(params, jax.random.key(i))) for i in (0, 1)]
        np.testing.assert_array_equal(*drawn)  # nothing is left to chance
        return drawn[0].reshape(20, 2, -1)

    held = np.stack([actions(8, seed) for seed in range(6)])
    for env_index, starts in ((0, (0, 8, 16, 20)), (1, (0, 4, 12, 20))):
        for first, last in itertools.pairwise(starts):
            assert (held[:, first:last, env_index] == held[:, first : first + 1, env_index]).all()
    assert any((held[:, 7, 0] != held[:, 8, 0]).ravel()) and any((held[:, 3, 1] != held[:, 4, 1]).ravel())
    noop = np.asarray(env.noop_action).reshape(-1)
    assert (actions(0, 0) == noop).all()
    free = np.stack([actions(1, seed) for seed in range(6)])
    changes = (free[:, 1:] != free[:, :-1]).any(-1).mean()
    assert changes > 0.35 and (held[:, 1:] != held[:, :-1]).any(-1).mean() < 0.15
    # Steps that are played one by one are the same.
    step, carry, single = jax.jit(policy.step), policy.initial_carry(2), []
    for place in range(10):
        output = step(HeldParams(jax.random.key(0), jnp.int32(8)), carry, (), reset[place], mask[place])
        carry = output.carry
        single.append(np.asarray(output.distribution.mode()).reshape(2, -1))
    np.testing.assert_array_equal(single, held[0, :10])
    assert policy.init(KEY).hold == 8 and policy.recurrent
    # Each call of an evaluation draws its own.
    calls = [play(policy.params_of_call(policy.init(KEY), first), KEY) for first in (0, 16)]
    assert (np.asarray(calls[0]) != np.asarray(calls[1])).any()
    assert POLICY.params_of_call(3.0, 16) == 3.0
    with pytest.raises(ValueError, match="action mask"):
        policy.unroll(policy.init(KEY), policy.initial_carry(2), (), reset)


@pytest.mark.slow
def test_baselines_stand_beside_every_policy_and_are_played_once(env, monkeypatch):
    chosen = make_level_set("set", kx.stack_levels(LEVELS))
    played, original = [], evaluate

    def count(*args, **options):
        played.append(options["policy_name"])
        return original(*args, **options)

    monkeypatch.setattr(evaluating, "evaluate", count)
    policies = [
        NamedPolicy("agent", POLICY, np.float32(99)),
        NamedPolicy("mode", POLICY, np.float32(99), mode=True),
    ]
    options = {"attempts": 3, "progress": False}
    found = evaluate_policies(KEY, policies, [chosen], env, PARAMS, run=RunInfo("run"), **options)
    assert [row.policy for row in found] == ["agent", "mode", "no-op", "random", "random, held 8"] == played
    assert [row.baseline for row in found] == [False] * 2 + [True] * 3
    assert [row.run.name for row in found] == ["run"] * 2 + [""] * 3
    noop = found[2]
    assert noop.deterministic and noop.attempts == 1 and found[3].attempts == 3
    np.testing.assert_array_equal(noop.level_rates, [1, 0, 0, 0])  # the ball falls; the rocket stays
    again = evaluate_policies(KEY, policies[:1], [chosen], env, PARAMS, **options)
    assert played[5:] == ["agent"] and again[1:] == found[2:]
    # With a mark, and a network that sees, they are the same; with other numbers of the game, or key, not.
    seeing = kx.make(TINY, observation_type="entity", action_type="discrete")
    marked = make_level_set("set", chosen.levels, trained_on=[True] * 4)
    kept = evaluating.evaluate_baselines(KEY, marked, seeing, PARAMS, attempts=3, batch_size=16)
    assert kept == found[2:] and not any(kept[0].levels.trained_on) and len(played) == 6
    evaluating.evaluate_baselines(jax.random.key(1), chosen, env, PARAMS, attempts=3, batch_size=16)
    assert played[6:] == [name for name, *_ in baseline_policies(KEY, env)]


@pytest.mark.slow
def test_all_runs_are_judged_on_the_same_random_levels():
    """Whatever their seed, physics and batch are; a longer set begins as a shorter one."""
    config = TrainConfig.preset("cpu", "evaluation.num_levels=8")
    changes = ("training.seed=3", "training.num_envs=64", "env.frame_skip=4", "env.contact_order=kinetix")
    other = TrainConfig.preset("cpu", "evaluation.num_levels=8", *changes)
    (first,), (second,) = evaluation_sets(config), evaluation_sets(other)
    assert first.info == second.info and first.name == "random/s" and first.info.seed == SEED
    assert len(set(first.info.checksums)) == 8
    keys = EvaluationKeys.from_seed(SEED)
    longer = random_level_set(keys.levels, 20, "s")
    assert longer.info.checksums[:8] == first.info.checksums and len(longer) == 20
    final = random_level_set(EvaluationKeys.from_seed(FINAL_SEED).levels, 8, "s", FINAL_SEED)
    assert final.name == "random/s-final" and not set(final.info.checksums) & set(longer.info.checksums)
    assert random_level_set(keys.levels, 2, "s", seed=7).name == "random/s-seed7"
    rows = np.arange(128) % 20  # the batch that the filter is compiled for
    assert not kx.noop_solves(jax.tree.map(lambda value: value[rows], longer.levels)).any()


def test_keys_of_evaluations_are_none_of_a_training_run():
    """Also where both have the same seed; levels during training are others than those at the end."""
    seeds = (0, SEED, FINAL_SEED)
    used = [key for seed in seeds for key in vars(EvaluationKeys.from_seed(seed)).values()]
    used += [key for seed in seeds for key in vars(RunKeys.from_seed(seed)).values()]
    used += [key for seed in seeds for key in jax.random.split(jax.random.key(seed), 8)[2:]]
    assert len({tuple(jax.random.key_data(key).tolist()) for key in used}) == len(used)


def test_records_are_written_and_read_back(tmp_path):
    records = [record(0.3), record(0.9, "random/s", "random", "", 1, seed=5, siblings=(True,) * 12)]
    records[0] = dataclasses.replace(records[0], run=RunInfo("run", 40, 3, "abc"), deterministic=True)
    path = tmp_path / "evaluation.json"
    write_evaluations(path, records)
    for before, after in zip(records, read_evaluations(path), strict=True):
        for field in ("policy", "levels", "conditions", "run", "deterministic", "baseline"):
            assert getattr(after, field) == getattr(before, field), field
        np.testing.assert_array_equal(after.solved, before.solved)
        np.testing.assert_array_equal(after.length, before.length)
    first, second = json.loads(path.read_text())
    assert first["levels"][0]["successes"] == records[0].solved[0].sum() and first["level_seed"] is None
    assert first["levels"][0]["attempts"] == 40 and first["solve_rate"] == records[0].solve_rate
    assert tuple(second["level_interval_95"]) == records[1].interval != records[1].attempt_interval
    assert second["conditions"]["contact_order"] == "parallel" and second["conditions"]["frame_skip"] == 2
    assert second["conditions"]["physics"]["base_motor_speed"] == kx.EnvParams().sim.base_motor_speed


def test_conditions_say_what_a_rate_was_measured_with():
    env = kx.make("s", contact_order="kinetix", frame_skip=4, action_type="continuous")
    found = Conditions.of(env, dataclasses.replace(PARAMS, max_timesteps=100))
    assert str(found) == (
        "contact_order=kinetix, solver_iterations=10, frame_skip=4, at most 100 steps, continuous actions"
    )
    assert found != Conditions.of(kx.make("s", frame_skip=4, action_type="continuous"), PARAMS)


def test_runs_of_one_config_differ_in_seed_output_and_evaluation_alone():
    config = TrainConfig.preset("cpu")
    same = TrainConfig.preset("cpu", "training.seed=4", "output.name=b", "evaluation.attempts=50")
    other = TrainConfig.preset("cpu", "ppo.gamma=0.9")
    ids = [RunInfo.of("name", each, 1).config_id for each in (config, same, other)]
    assert ids[0] == ids[1] != ids[2] and RunInfo.of("name", same, 1).training_seed == 4


def test_what_no_evaluation_wrote_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no evaluation\.json; `kinetix evaluate` writes one"):
        read_evaluations(tmp_path)
    for text in ('{"a": 1}', "[", '[{"policy": "agent"}]'):
        (tmp_path / "evaluation.json").write_text(text)
        with pytest.raises(ConfigError, match="not an evaluation that kinetix wrote"):
            read_evaluations(tmp_path)
    (tmp_path / "evaluation.json").write_text("[]")
    with pytest.raises(ConfigError, match="holds no evaluation"):
        read_evaluations(tmp_path)


def test_each_set_has_one_name_and_knows_what_was_trained_on(tmp_path, level_file):
    for folder in ("mine", "other/mine"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "rocket.json").write_text(level_file.read_text())
    mine = str(tmp_path / "mine" / "rocket.json")
    paths = [
        "library/s",
        "swing_up",
        str(tmp_path / "mine"),
        "library/s",
        str(level_file),
        mine,
        "s/swing_up",
    ]
    paths.append(str(tmp_path / "other" / "mine"))
    trained = ["weak_thrust", mine]
    sets = {one.name: one.info for one in load_level_sets(paths, SIZES["s"], trained)}
    assert list(sets) == ["library/s", "files", "mine", "other/mine"]
    assert list(sets["library/s"].level_names) == list_levels("library/s")
    # Files of one name are told apart by their folders, and a level that is named twice is one.
    both = (f"{level_file.parent.name}/rocket", "mine/rocket")
    assert sets["files"].level_names == ("swing_up", *both)
    assert sets["files"].trained_on == (False, False, True)
    assert sets["mine"].level_names == ("rocket",) and sets["mine"].trained_on == (True,)
    assert sets["other/mine"].trained_on == (False,)
    marks = zip(sets["library/s"].level_names, sets["library/s"].trained_on, strict=True)
    assert [name for name, mark in marks if mark] == ["weak_thrust"]
    assert sets["mine"].checksums == sets["other/mine"].checksums == sets["files"].checksums[1:2]
    with pytest.raises(ConfigError, match=r"fit this size"):
        load_level_sets(["library/l"], SIZES["s"])


def test_names_of_levels_are_as_short_as_they_can_be():
    files = ["k/m/h1_car_left.json", "k/l/h1_car_left.json", "k/l/arm.json", "swing_up"]
    assert unique_names(files) == ("m/h1_car_left", "l/h1_car_left", "arm", "swing_up")
    with pytest.raises(ValueError, match="each name once"):
        make_level_set("set", kx.stack_levels(LEVELS[:2]), ("a", "a"))


def test_siblings_of_levels_trained_on_are_no_new_tasks(tmp_path, level_file):
    """Members of their families in the library, and the levels of Kinetix that the library re-creates."""
    theirs = tmp_path / "h6_unicycle_right.json"
    kx.save_level(kx.load_level("unicycle_right"), theirs, format="kinetix")
    files = ["unicycle_left", "unicycle_right", "bat_up", str(theirs), str(level_file)]
    assert sibling_marks(files, ["unicycle_right", "weak_thrust"]) == (True, False, False, True, False)
    assert sibling_marks(files, [str(level_file)]) == (False,) * 5
    held_out, train = (list_levels(f"library/{split}") for split in ("held-out", "train"))
    marks = zip(held_out, sibling_marks(held_out, train), strict=True)
    assert [name for name, known in marks if not known] == ["clock_easy"]  # the only one of its family
    assert sibling_marks(train, train) == (False,) * len(train)


def test_a_level_is_known_by_its_numbers():
    """An edit of a centimeter is another level; rounding is not."""
    first, second = falling(height=1.0), falling(height=1.01)
    one, other = (make_level_set("set", kx.stack_levels([level])).info for level in (first, second))
    assert not one.same_levels(other)
    wobble = lambda leaf: leaf * np.float32(1 + 1e-6) if leaf.dtype == jnp.float32 else leaf
    rounded = make_level_set("set", kx.stack_levels([jax.tree.map(wobble, first)])).info
    assert one.checksums != rounded.checksums and one.same_levels(rounded)
