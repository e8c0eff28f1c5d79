"""`kinetix benchmark gpu`: all benchmarks of a GPU in one call."""

from __future__ import annotations

import argparse
import pathlib
from typing import Any

from agents.cli.common import CommandError, HelpFormatter, positive

PARTS = ("gpu",)
TEXT = """Measures the engine, the environment, random levels, pictures, training (the environment alone,
with the policy, with learning), its memory and speed beside kinetix plan, and one learning curve,
each in a process of its own. What is in the folder already is not measured again: after an
interruption, or where the time was too short, the same command goes on. Writes report.json,
report.md and report.png."""


def add_parts(parts: Any) -> None:
    """Adds the part to those of `kinetix benchmark`."""
    parser = parts.add_parser(
        "gpu",
        help="all of these on a GPU, plans, and a learning curve, as one JSON and one page",
        description=TEXT,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--out", type=pathlib.Path, required=True, metavar="FOLDER", help="results")
    parser.add_argument("--budget", type=positive, default=480, help="seconds for this call (default 480)")
    parser.add_argument("--target", help="name of the GPU for kinetix plan (default: by its driver)")
    parser.add_argument("--upstream", metavar="PYTHON", help="interpreter with the published jax2d 1.0.2")
    parser.add_argument("--small", action="store_true", help="a few parts, tiny, on any machine")


def main(options: argparse.Namespace) -> None:
    """Runs all parts, and tells where the page is.

    Raises:
      CommandError: there is no GPU and small parts were not asked for, or nothing was measured.
    """
    from agents.benchmark.page import write_page
    from agents.benchmark.suite import gpu_name, gpu_parts, run_suite, small_parts
    from agents.plan.targets import GPUS

    name = gpu_name()
    if not name and not options.small:
        raise CommandError("nvidia-smi finds no GPU; --small runs a few parts on any machine")
    if options.small:
        parts = small_parts()
    else:
        known = {gpu.description: target for target, gpu in GPUS.items()}
        parts = gpu_parts(options.target or known.get(name, ""), options.upstream)
    results = run_suite(parts, options.out, options.budget)
    print(write_page(results, options.out, name or "a CPU"))
    if all("error" in each for each in results.values()):
        raise CommandError(f"no part was measured; report.md in {options.out} tells why")
