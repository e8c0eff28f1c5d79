"""`kinetix benchmark`: times one part of the project, or compares trainings."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from agents.cli import benchmark_gpu, benchmark_learning
from agents.cli.common import CommandError, HelpFormatter, positive

DESCRIPTION = """Times one part of the project on this machine and prints a report, one JSON line;
or compares trainings that differ in one thing, or measures all of a GPU, and writes a report."""
EXAMPLES = """examples:
  kinetix benchmark engine --size l --num-envs 256
  kinetix benchmark engine --size l --num-envs 256 --scenes levels --against pymunk
  kinetix benchmark env --size m --num-envs 256 --observation pixels
  kinetix benchmark generator --size s --num-envs 1024 --filtered
  kinetix benchmark train --size s --num-envs 512 --steps 128 hardware=cpu
  kinetix benchmark curricula --out studies/curricula --seeds 5
  kinetix benchmark gpu --out results/gpu"""
OBSERVATIONS = ("entity", "flat", "flat_padded", "pixels", "blind")


def _part(parts: Any, name: str, help: str, steps: int | None = 64) -> argparse.ArgumentParser:
    """Adds a part, with the options that all of them share."""
    parser = parts.add_parser(name, help=help, description=f"Times {help}.", formatter_class=HelpFormatter)
    parser.add_argument("--size", choices=("s", "m", "l"), required=True, help="size of the levels")
    parser.add_argument("--num-envs", type=positive, required=True, help="environments (or levels) at once")
    if steps is not None:
        parser.add_argument(
            "--steps", type=positive, default=steps, help=f"steps of one call (default {steps})"
        )
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default 0)")
    return parser


def _devices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--devices", type=positive, default=2, help="devices into which a CPU is split (default 2)"
    )


def _order(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--contact-order",
        choices=("parallel", "kinetix"),
        default="parallel",
        help="how the solver visits contacts (default parallel)",
    )


def _backend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backend",
        choices=("xla", "cuda"),
        default="xla",
        help="what computes the physics on an NVIDIA GPU: the compiler's kernels (default), or one kernel",
    )


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="kinetix benchmark", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=HelpFormatter
    )
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART")
    engine = _part(parts, "engine", "physics alone")
    engine.add_argument("--save-scenes", metavar="FILE", help="also write the scenes and actions as .npz")
    engine.add_argument(
        "--scenes",
        choices=("boxes", "levels"),
        default="boxes",
        help="crowded boxes and circles (default), or random levels, of which less touches",
    )
    engine.add_argument(
        "--against",
        choices=("pymunk",),
        help="also time Chipmunk, a C engine, on the same scenes; both then have one device and one core",
    )
    env = _part(parts, "env", "environment steps, with observations")
    env.add_argument("--observation", choices=OBSERVATIONS, default="entity", help="default entity")
    env.add_argument("--frame-skip", type=positive, default=2, help="physics steps of a step (default 2)")
    generator = _part(parts, "generator", "the drawing of random levels", steps=None)
    generator.add_argument("--filtered", action="store_true", help="without those that doing nothing solves")
    pixels = _part(parts, "pixels", "the drawing of pictures of states", steps=16)
    pixels.add_argument("--pixels", type=positive, default=125, help="along each side (default 125)")
    train = _part(parts, "train", "whole updates of training, on one device")
    train.add_argument("--compile-only", action="store_true", help="memory and compile time; nothing is run")
    train.add_argument("overrides", nargs="*", metavar="FIELD=VALUE", help="as for kinetix train")
    for each in (engine, env, train):
        _order(each)
    for each in (engine, env):
        _backend(each)
    for each in (engine, env, generator, pixels):
        _devices(each)
    train.set_defaults(devices=1, seed=None, contact_order=None)  # those of the config
    benchmark_learning.add_parts(parts)
    benchmark_gpu.add_parts(parts)
    options = parser.parse_args(arguments)
    if options.part in (*benchmark_learning.PARTS, *benchmark_gpu.PARTS):
        return options
    if options.part == "engine" and options.against:
        options.devices = 1
    if options.num_envs % options.devices:
        parser.error(f"--num-envs {options.num_envs} is not a multiple of --devices {options.devices}")
    return options


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Runs the part that the command line names and returns its report."""
    from agents.benchmark.measure import use_host_devices, use_one_core

    use_host_devices(options.devices)
    if options.part == "engine" and options.against:
        use_one_core()
    shared: dict[str, Any] = {"size": options.size, "seed": options.seed}
    if options.part == "engine":
        from agents.benchmark.engine import benchmark_engine

        try:
            return benchmark_engine(
                num_envs=options.num_envs,
                steps=options.steps,
                contact_order=options.contact_order,
                backend=options.backend,
                devices=options.devices,
                scenes=options.scenes,
                against=options.against,
                scenes_file=options.save_scenes,
                **shared,
            )
        except ImportError as error:
            raise CommandError(str(error)) from None
    if options.part == "env":
        from agents.benchmark.environment import benchmark_environment

        return benchmark_environment(
            num_envs=options.num_envs,
            steps=options.steps,
            observation=options.observation,
            frame_skip=options.frame_skip,
            contact_order=options.contact_order,
            backend=options.backend,
            devices=options.devices,
            **shared,
        )
    if options.part == "generator":
        from agents.benchmark.generator import benchmark_generator

        return benchmark_generator(
            num_levels=options.num_envs, filtered=options.filtered, devices=options.devices, **shared
        )
    if options.part == "pixels":
        from agents.benchmark.pixels import benchmark_pixels

        return benchmark_pixels(
            num_envs=options.num_envs,
            steps=options.steps,
            pixels=options.pixels,
            devices=options.devices,
            **shared,
        )
    from agents.benchmark.training import benchmark_training
    from agents.config import ConfigError

    try:
        return benchmark_training(
            num_envs=options.num_envs,
            rollout_length=options.steps,
            overrides=options.overrides,
            contact_order=options.contact_order,
            compile_only=options.compile_only,
            **shared,
        )
    except ConfigError as error:
        raise CommandError(str(error)) from None


def main(arguments: Sequence[str]) -> None:
    """Prints the report, or where it is."""
    options = parse(arguments)
    if options.part in benchmark_learning.PARTS:
        benchmark_learning.main(options)
    elif options.part in benchmark_gpu.PARTS:
        benchmark_gpu.main(options)
    else:
        print(json.dumps(measure(options)))
