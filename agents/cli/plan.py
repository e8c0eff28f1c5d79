"""`kinetix plan`: memory and modeled speed of training or of the engine on a device that may be missing."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from agents.cli.common import CommandError, HelpFormatter, natural

DESCRIPTION = """Compiles one update of training for a GPU, a TPU or a CPU and tells what XLA planned: memory,
kernels, bytes moved, and the time that a model of memory traffic gives. Nothing is run, and no
device is needed.

The time is a model, not a measurement: max(launch, bytes / bandwidth + latency) for each kernel,
loops multiplied out. Of a conditional, such as the refresh of a curriculum, the cheapest branch
counts; what the costliest would add is told apart. Use it for what fits, and for ratios."""
EXAMPLES = """examples:
  kinetix plan size=l hardware=gpu target=h100         needs pip install 'jax[cuda13]'
  kinetix plan size=l hardware=gpu target=v5e:2x2      needs pip install 'jax[tpu]'
  kinetix plan size=l hardware=gpu target=h100 network.dtype=bfloat16 --top 10
  kinetix plan part=engine steps=64 training.num_envs=4096 target=cpu --json
  kinetix plan part=fit size=l hardware=gpu training.num_envs=131072 target=h100  what fits"""
PARTS = ("train", "engine", "fit")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="kinetix plan", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=HelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON line, with all operations")
    parser.add_argument("--top", type=natural, default=0, help="also list so many operations by time")
    parser.add_argument(
        "words",
        nargs="*",
        metavar="FIELD=VALUE",
        help="target=NAME: h100, another GPU, a TPU with its grid of chips (v5e:2x2), or cpu; an unknown "
        "name lists them all. part=train (default), part=engine for steps=N (default 1) of physics "
        "alone, in training.num_envs environments, or part=fit for how many environments fit, by plans "
        "of training.num_envs of them and a 32nd of these. All else as for kinetix train",
    )
    return parser.parse_args(arguments)


def table(report: dict[str, Any], top: int = 0) -> str:
    """Writes a report for people, with so many operations of those that take the longest."""
    fits = {None: "", True: ": fits", False: ": does not fit"}[report["fits"]]
    memory = "" if report["target_bytes"] is None else f" of {report['target_bytes'] / 1e9:.1f} GB"
    rates, steps = report["rates"], report["steps"]
    share = f", the share of one of {report['devices']} devices" if report["devices"] > 1 else ""
    lines = [
        f"{report['part']}, size {report['size']}, on {report['target']}: {steps:,} steps{share}",
        f"compiled in {report['compile_seconds']:.0f} s",
        f"memory    {report['needed_bytes'] / 1e9:.3f} GB{memory}{fits} (arguments "
        f"{report['argument_bytes'] / 1e9:.3f}, temporaries {report['temporary_bytes'] / 1e9:.3f}, "
        f"results {report['result_bytes'] / 1e9:.3f})",
        "",
        f"{'part':16}{'kernels':>10}{'kB/step':>10}{'model ms':>10}{'conditionals':>14}",
    ]
    for name, cost in sorted(report["parts"].items(), key=lambda item: -item[1]["seconds"]):
        more = f"up to +{cost['conditional'] * 1e3:.1f}" if cost["conditional"] else ""
        lines.append(
            f"{name:16}{cost['kernels']:>10,}{cost['moved'] / steps / 1e3:>10.2f}"
            f"{cost['seconds'] * 1e3:>10.2f}{more:>14}"
        )
    lines += [
        "",
        f"{report['model_steps_per_second']:,} steps/s by the model max({rates['launch'] * 1e6:g} us, "
        f"bytes / {rates['bandwidth'] / 1e12:g} TB/s + {rates['latency'] * 1e6:g} us) of each kernel",
    ]
    if top:
        lines += ["", f"{'kernels':>10}{'kB/step':>10}{'model ms':>10}  part, operation (' of a gradient)"]
    for cost in report["operations"][:top]:
        lines.append(
            f"{cost['kernels']:>10,}{cost['moved'] / steps / 1e3:>10.2f}{cost['seconds'] * 1e3:>10.2f}"
            f"  {cost['part']}: {cost['operation']}"
        )
    if report["loops_of_unknown_length"]:
        lines.append(f"loops of unknown length, counted once: {report['loops_of_unknown_length']}")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Prints the plan."""
    options = parse(arguments)
    own, overrides = {"part": "train", "target": "", "steps": ""}, []
    for word in options.words:
        name, _, value = word.partition("=")
        if name in own:
            own[name] = value
        else:
            overrides.append(word)
    if own["part"] not in PARTS:
        raise CommandError(f"there is no part {own['part']!r}; known: {', '.join(PARTS)}")
    if own["steps"] and own["part"] != "engine":
        raise CommandError(f"steps={own['steps']} is of part=engine; training has training.rollout_length")
    if not (own["steps"] or "1").isdecimal() or int(own["steps"] or 1) < 1:
        raise CommandError(f"steps must be an integer of at least 1, got {own['steps']!r}")
    import jax

    jax.config.update("jax_platforms", "cpu")  # devices that are there are left alone
    from agents.config import ConfigError
    from agents.plan.fit import FitError, fit_table, plan_fit
    from agents.plan.program import plan_engine, plan_training
    from agents.plan.targets import TargetError, find_target
    from agents.presets import compose_config

    try:
        config, target = compose_config(*overrides), find_target(own["target"])
        if own["part"] == "engine":
            report = plan_engine(config, target, int(own["steps"] or 1))
        elif own["part"] == "fit":
            report = plan_fit(config, target)
        else:
            report = plan_training(config, target)
    except (ConfigError, TargetError, FitError) as error:
        raise CommandError(str(error)) from None
    if options.json:
        print(json.dumps(report))
    else:
        print(fit_table(report) if own["part"] == "fit" else table(report, options.top))
