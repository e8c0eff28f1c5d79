"""Whole updates of training, and where their time goes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from agents.benchmark import measure
from agents.build import make_trainer
from agents.config import ConfigError
from agents.curricula.fresh import UPDATES_AHEAD
from agents.policy import UniformPolicy
from agents.ppo.ppo import ppo_update
from agents.ppo.rollout import rollout, start_runner
from agents.presets import compose_config


def _seconds(function, *arguments, repeats: int = 3) -> tuple[float, Any]:
    """Median time of a call of a jitted function, after one to warm up, and its result."""
    out = jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        out = jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - begin)
    return float(np.median(times)), out


def _parts(trainer, state, env_params, levels) -> dict[str, float]:
    """Seconds of the parts of an update: playing without and with the network, and learning."""
    env, length = trainer.env, trainer.rollout_length

    def play(policy):
        def run(params, levels):
            runner = start_runner(env, levels, env_params, policy)
            return rollout(jax.random.key(1), policy, params, runner, env, env_params, length)[1]

        return jax.jit(run)

    def shown(levels):
        steps = play(UniformPolicy(env))((), levels)
        return steps.reward, steps.obs  # or the compiler would leave out what nobody looks at

    physics, _ = _seconds(jax.jit(shown), levels)
    playing, transitions = _seconds(play(trainer.policy), state.params, levels)
    learning = jax.jit(
        lambda state, transitions: ppo_update(
            jax.random.key(2),
            trainer.policy,
            state.params,
            state.opt_state,
            trainer.optimizer,
            transitions,
            trainer.policy.initial_carry(trainer.num_envs),
            trainer.ppo,
        )[0]
    )
    update, _ = _seconds(learning, state, transitions)
    return {"physics": physics, "network": playing - physics, "update": update}


def _whole(program, state, env_params, cycle: int) -> tuple[float, float, Any]:
    """Mean seconds and policy steps of an update, over those from one refresh of levels to the next.

    One update before is not measured: it fills what later ones go on with.
    """
    state, _ = jax.block_until_ready(program(state, env_params))
    begin, steps = time.perf_counter(), 0.0
    for _ in range(cycle):
        state, metrics = jax.block_until_ready(program(state, env_params))
        steps += float(metrics["policy_steps"][0])
    return (time.perf_counter() - begin) / cycle, steps / cycle, state


def _proposed(trainer, key, state):
    """Levels of an update."""

    @jax.jit
    def propose(key, state):
        own = jax.tree.map(lambda leaf: leaf[0], state.curriculum)
        return trainer.curriculum.propose(key, trainer.policy, state.params, own, 0)[1].start

    return propose(key, state)


def benchmark_training(
    size: str,
    num_envs: int,
    rollout_length: int = 64,
    *,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    contact_order: str | None = None,
    compile_only: bool = False,
) -> dict[str, Any]:
    """Times whole updates of a config on one device, one update a call.

    Args:
      size: "s", "m" or "l".
      num_envs: environments of an update.
      rollout_length: steps that each of them plays.
      overrides: changes to the config, as for `kinetix train`.
      seed, contact_order: instead of the config's, if given.
      compile_only: report memory and compile time only, and run nothing.

    Returns:
      a report, ready for JSON.

    Raises:
      ConfigError: a config that cannot be run, or one of several devices or seeds, of cloning, or of another
        size.
    """
    given = {
        "training.num_envs": num_envs,
        "training.rollout_length": rollout_length,
        "training.seed": seed,
        "env.contact_order": contact_order,
    }
    words = [f"{name}={value}" for name, value in given.items() if value is not None]
    config = compose_config(f"size={size}", "training.num_devices=1", *overrides, *words)
    for name, value, timed in (
        ("training.num_devices", config.training.num_devices, 1),
        ("training.num_seeds", config.training.num_seeds, 1),
        ("algorithm", config.algorithm, "ppo"),
        ("env.size", config.env.size, size),
    ):
        if value != timed:
            raise ConfigError(f"{name} must be {timed} to be timed, got {value}")
    trainer, env_params = make_trainer(config), config.env.params
    key = jax.random.key(config.training.seed)
    state = jax.eval_shape(trainer.init, key) if compile_only else trainer.init(key)
    begin = time.perf_counter()
    lowered = trainer.lower(state, env_params, 1)
    traced = time.perf_counter()
    program = lowered.compile()
    done = time.perf_counter()
    memory: Any = program.memory_analysis()
    report = {
        "benchmark": "train",
        "size": size,
        "num_envs": num_envs,
        "rollout_length": rollout_length,
        "seed": config.training.seed,
        "contact_order": config.env.contact_order,
        "network": dataclasses.asdict(config.network),
        "num_epochs": config.ppo.num_epochs,
        "minibatch_size": config.ppo.minibatch_size,
        "num_rollouts": config.training.num_rollouts,
        "curriculum": config.curriculum.kind,
        "trace_seconds": round(traced - begin, 1),
        "compile_seconds": round(done - traced, 1),
        "program_bytes": memory.temp_size_in_bytes + memory.argument_size_in_bytes,
    }
    if not compile_only:
        refresh = config.curriculum.refresh_every if config.curriculum.kind == "sfl" else 1
        cycle = max(refresh, UPDATES_AHEAD)
        whole, policy_steps, state = _whole(program, state, env_params, cycle)
        report |= {
            "steps_per_second": round(trainer.steps_per_update / whole),
            "policy_steps_per_second": round(policy_steps / whole),
            "seconds_per_update": round(whole, 3),
        }
        levels = _proposed(trainer, key, state)
        seconds = _parts(trainer, state, env_params, levels)
        steps = trainer.num_envs * trainer.rollout_length
        report["steps_per_second_of"] = {
            "environment": round(steps / seconds["physics"]),
            "policy": round(steps / (seconds["physics"] + seconds["network"])),
            "learning": report["steps_per_second"],
        }
        share = {name: trainer.num_rollouts * value / whole for name, value in seconds.items()}
        share["levels"] = 1 - sum(share.values())
        report["share"] = {name: round(value, 2) for name, value in share.items()}
    return report | measure.machine()
