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
from agents.policy import UniformPolicy
from agents.ppo.ppo import ppo_update
from agents.ppo.rollout import rollout, start_runner
from agents.presets import compose_config
from agents.training.trainer import Trainer


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

    random = jax.jit(lambda levels: play(UniformPolicy(env))((), levels).reward)
    physics, _ = _seconds(random, levels)
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


def _whole(program, state, env_params, refresh_every: int) -> tuple[float, Any]:
    """Seconds of an update, the rare ones that refresh the levels shared out among all."""
    times = []
    for _ in range(min(refresh_every, 4)):
        begin = time.perf_counter()
        state, _ = jax.block_until_ready(program(state, env_params))
        times.append(time.perf_counter() - begin)
    usual = float(np.median(times[1:])) if len(times) > 1 else times[0]
    return (times[0] + (refresh_every - 1) * usual) / refresh_every, state


def benchmark_training(
    size: str,
    num_envs: int,
    rollout_length: int = 64,
    *,
    overrides: Sequence[str] = (),
    seed: int = 0,
    contact_order: str = "parallel",
    compile_only: bool = False,
) -> dict[str, Any]:
    """Times whole updates of a config, one update a call.

    Args:
      size: "s", "m" or "l".
      num_envs: environments of an update.
      rollout_length: steps that each of them plays.
      overrides: changes to the config, as for `kinetix train`.
      seed: seed of the run.
      contact_order: as in `kinetix_py.make`.
      compile_only: report memory and compile time only, and run nothing.

    Returns:
      a report, ready for JSON.
    """
    config = compose_config(
        f"size={size}",
        *overrides,
        f"training.num_envs={num_envs}",
        f"training.rollout_length={rollout_length}",
        f"training.seed={seed}",
        f"env.contact_order={contact_order}",
    )
    trainer, env_params = make_trainer(config), config.env.params
    key = jax.random.key(seed)
    begin = time.perf_counter()
    state = jax.eval_shape(trainer.init, key)
    lowered = Trainer.train_steps.lower(trainer, state, env_params, 1)
    traced = time.perf_counter()
    program = lowered.compile()
    done = time.perf_counter()
    memory: Any = program.memory_analysis()
    report = {
        "benchmark": "train",
        "size": size,
        "num_envs": num_envs,
        "rollout_length": rollout_length,
        "seed": seed,
        "network": dataclasses.asdict(config.network),
        "num_epochs": config.ppo.num_epochs,
        "num_minibatches": config.ppo.num_minibatches,
        "curriculum": config.curriculum.kind,
        "trace_seconds": round(traced - begin, 1),
        "compile_seconds": round(done - traced, 1),
        "program_bytes": memory.temp_size_in_bytes + memory.argument_size_in_bytes,
    }
    if not compile_only:
        state = trainer.init(key)
        refresh = config.curriculum.refresh_every if config.curriculum.kind == "sfl" else 1
        whole, state = _whole(program, state, env_params, refresh)
        _, batch = jax.jit(
            lambda key, state: trainer.curriculum.propose(key, trainer.policy, state.params, state.curriculum)
        )(key, state)
        parts = _parts(trainer, state, env_params, batch.start)
        report |= {
            "steps_per_second": round(num_envs * rollout_length / whole),
            "seconds_per_update": round(whole, 3),
            "share": {name: round(value / whole, 2) for name, value in parts.items()},
        }
        report["share"]["levels"] = round(1 - sum(parts.values()) / whole, 2)
    return report | measure.machine()
