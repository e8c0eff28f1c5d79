"""Benchmarks; prints one JSON line.

python scripts/benchmark.py engine    --size {s,m,l} --num-envs N [--steps T] [--seed K]
python scripts/benchmark.py env       --size {s,m,l} --num-envs N [--observation entity]
python scripts/benchmark.py generator --size {s,m,l} --num-envs N [--filtered]
python scripts/benchmark.py pixels    --size {s,m,l} --num-envs N [--pixels 125]
python scripts/benchmark.py train     --size {s,m,l} --num-envs N [--steps T] [--compile-only] [CONFIG ...]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from scripts import measure


def positive(text: str) -> int:
    """An integer of at least 1, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def _common(what, name: str, help: str) -> argparse.ArgumentParser:
    """A subcommand with the options that all of them share."""
    parser = what.add_parser(name, help=help)
    parser.add_argument("--size", choices=("s", "m", "l"), required=True)
    parser.add_argument("--num-envs", type=positive, required=True, help="environments (or levels) at once")
    parser.add_argument(
        "--steps", type=positive, default=64, help="steps of one call (default 64, of pixels 16)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn at random (default 0)")
    parser.add_argument("--order", choices=("parallel", "kinetix"), default="parallel")
    parser.add_argument(
        "--devices", type=positive, default=2, help="devices the CPU is split into (default 2)"
    )
    return parser


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    what = parser.add_subparsers(dest="what", required=True)
    engine = _common(what, "engine", "physics alone")
    engine.add_argument("--save-scenes", metavar="FILE", help="also write the scenes and actions as .npz")
    env = _common(what, "env", "environment steps")
    env.add_argument("--observation", default="entity", help="entity, flat, flat_padded, pixels or blind")
    env.add_argument("--frame-skip", type=positive, default=2)
    generator = _common(what, "generator", "random levels")
    generator.add_argument("--filtered", action="store_true", help="without those that doing nothing solves")
    pixels = _common(what, "pixels", "pictures of states")
    pixels.add_argument("--pixels", type=positive, default=125, help="along each side (default 125)")
    pixels.set_defaults(steps=16)
    train = _common(what, "train", "whole updates, on one device; --steps is the length of a rollout")
    train.add_argument("--compile-only", action="store_true", help="memory and compile time, nothing is run")
    train.add_argument("config", nargs="*", help="as for scripts/train.py: hardware=gpu ppo.num_epochs=1 ...")
    train.set_defaults(devices=1)
    options = parser.parse_args(arguments)
    if options.num_envs % options.devices:
        parser.error(f"--num-envs {options.num_envs} is not a multiple of --devices {options.devices}")
    return options


def save_scenes(path: str, states, actions) -> None:
    """Writes every array of the states under its path, and the actions, for other engines to load."""
    import jax
    import numpy as np

    leaves = jax.tree_util.tree_leaves_with_path(states)
    arrays = {jax.tree_util.keystr(p).lstrip("."): np.asarray(v) for p, v in leaves}
    np.savez(path, actions=actions, **arrays)


def engine(options: argparse.Namespace) -> dict:
    """Times a rollout of random scenes under random actions, stepped through `vmap(step)`."""
    import jax

    import jax2d
    from scripts.kernels import kernels_per_step
    from scripts.scenes import SIZES, random_actions, random_scenes

    spec = dataclasses.replace(SIZES[options.size], contact_order=options.order)
    states = random_scenes(options.seed, options.num_envs, spec)
    actions = random_actions(options.seed, options.steps, options.num_envs, spec)
    if options.save_scenes:
        save_scenes(options.save_scenes, states, actions)
    params = jax2d.SimParams()

    def rollout(states, actions):
        step = jax.vmap(lambda state, action: jax2d.step(state, action, params, spec)[0])
        return jax.lax.scan(lambda s, a: (step(s, a), None), states, actions)[0]

    num_devices = min(options.devices, len(jax.devices()))
    function, place = measure.shard(rollout, num_devices)
    result = measure.measure(function, place(states, actions), options.steps, options.num_envs)
    compiled = result.pop("compiled")
    state_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(states)) // options.num_envs
    return {
        "benchmark": "engine",
        "engine": "jax2d",
        "size": options.size,
        "num_envs": options.num_envs,
        "steps": options.steps,
        "seed": options.seed,
        "contact_order": options.order,
        "devices_used": num_devices,
        **result,
        "kernels_per_step": kernels_per_step(compiled.as_text(), options.steps),
        "state_bytes_per_env": state_bytes,
        "temporary_bytes": compiled.memory_analysis().temp_size_in_bytes,
        **measure.machine(),
    }


def main(arguments: list[str] | None = None) -> None:
    """Runs what the command line asks for."""
    options = parse(arguments)
    measure.use_host_devices(options.devices)
    from scripts.benchmark_env import env
    from scripts.benchmark_generator import generator
    from scripts.benchmark_pixels import pixels
    from scripts.benchmark_train import train

    chosen = {"engine": engine, "env": env, "generator": generator, "pixels": pixels, "train": train}
    print(json.dumps(chosen[options.what](options)))


if __name__ == "__main__":
    main()
