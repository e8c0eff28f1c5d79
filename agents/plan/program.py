"""Compiling training, or the engine alone, for a target, and the report of its plan."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

import jax2d
from agents.benchmark.scenes import random_scenes
from agents.build import make_trainer
from agents.config import ConfigError, TrainConfig
from agents.plan.hlo import parse_module
from agents.plan.model import plan_time
from agents.plan.targets import Target
from jax2d.batching import lowering_for

# Share of the memory of a device for programs, beside the driver and XLA.
USABLE = 0.9
SCOPES = (("levels",), ("learn",), ("play", "env"), ("play", "network"), ("play",))


def share_of_one_device(config: TrainConfig) -> TrainConfig:
    """Changes a config of several devices to the share of one of them, without exchanges between them.

    Raises:
      ConfigError: minibatches that the devices cannot share.
    """
    count = config.training.num_devices or 1
    if config.ppo.minibatch_size % count:
        raise ConfigError(
            f"ppo.minibatch_size must be a multiple of training.num_devices, {count}, "
            f"got {config.ppo.minibatch_size}"
        )
    training = dataclasses.replace(config.training, num_envs=config.training.num_envs // count, num_devices=1)
    ppo = dataclasses.replace(config.ppo, minibatch_size=config.ppo.minibatch_size // count)
    names = ("num_candidates", "buffer_size", "episodes_at_once", "num_tasks")
    totals = {name: getattr(config.curriculum, name) for name in names}
    shares = {name: -(-total // count) for name, total in totals.items() if total is not None}
    curriculum = dataclasses.replace(config.curriculum, **shares)
    return dataclasses.replace(config, training=training, ppo=ppo, curriculum=curriculum)


def plan_training(config: TrainConfig, target: Target) -> dict[str, Any]:
    """Plans one update of training on one device of a target.

    Raises:
      ConfigError: a config that cannot be run, or is not of PPO.
    """
    if config.algorithm != "ppo":
        raise ConfigError(f"algorithm must be ppo to be planned, got {config.algorithm}")
    trainer, env_params = make_trainer(share_of_one_device(config)), config.env.params
    state = trainer.state_shapes()
    update = lambda state: trainer.train_step(state, env_params)
    report = _plan(
        update, (state,), target, trainer.num_seeds * trainer.steps_per_update, SCOPES, donate=(0,)
    )
    return {"part": "train", "size": config.env.size, "devices": config.training.num_devices or 1, **report}


def plan_engine(config: TrainConfig, target: Target, length: int) -> dict[str, Any]:
    """Plans `length` steps of the engine alone, in the environments of one device of a config."""
    count = config.training.num_envs // (config.training.num_devices or 1)
    spec = config.env.make().sim_spec
    widen = lambda leaf: jax.ShapeDtypeStruct((count, *leaf.shape[1:]), leaf.dtype)
    states = jax.tree.map(widen, random_scenes(0, 1, spec))
    actions = jax.ShapeDtypeStruct((length, count, spec.num_actions), jnp.float32)
    step = jax.vmap(lambda state, action: jax2d.step(state, action, jax2d.SimParams(), spec)[0])

    @jax.named_scope("engine")
    def run(states, actions):
        return jax.lax.scan(lambda states, action: (step(states, action), None), states, actions)[0]

    report = _plan(run, (states, actions), target, count * length, (("engine",),))
    return {"part": "engine", "size": config.env.size, "devices": config.training.num_devices or 1, **report}


def _plan(
    function: Callable,
    shapes: tuple,
    target: Target,
    steps: int,
    scopes: Sequence[Sequence[str]],
    donate: tuple[int, ...] = (),
) -> dict[str, Any]:
    """Compiles a function for a target, and reports on one run of it, which makes `steps` steps."""
    place = jax.sharding.SingleDeviceSharding(target.device)
    put = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)
    begin = time.perf_counter()
    with lowering_for(target.platform):
        traced = jax.jit(function, donate_argnums=donate).trace(*jax.tree.map(put, shapes))
        lowered = traced.lower(lowering_platforms=(target.platform,))
    compiled = lowered.compile(compiler_options=target.options)
    seconds = time.perf_counter() - begin
    memory: Any = compiled.memory_analysis()
    arguments, temporaries = memory.argument_size_in_bytes, memory.temp_size_in_bytes
    results = memory.output_size_in_bytes - memory.alias_size_in_bytes
    needed = arguments + temporaries + results
    plan = plan_time(parse_module(compiled.as_text()), target.rates, scopes)
    total = plan.total
    return {
        "target": target.name,
        "steps": steps,
        "compile_seconds": round(seconds, 1),
        "argument_bytes": arguments,
        "result_bytes": results,
        "temporary_bytes": temporaries,
        "needed_bytes": needed,
        "target_bytes": target.memory,
        "fits": None if target.memory is None else needed <= USABLE * target.memory,
        "kernels": total.kernels,
        "bytes_per_step": round(total.moved / steps),
        "model_steps_per_second": round(steps / total.seconds),
        "model_seconds": total.seconds,
        "model_conditional_seconds": total.conditional,
        "loops_of_unknown_length": plan.unknown_loops,
        "rates": dataclasses.asdict(target.rates),
        "parts": {name: dataclasses.asdict(cost) for name, cost in plan.parts.items()},
        "operations": [
            {"part": part, "operation": path, **dataclasses.asdict(cost)}
            for (part, path), cost in sorted(plan.operations.items(), key=lambda item: -item[1].seconds)
        ],
    }
