"""`kinetix benchmark learning` and `kinetix benchmark curricula`: trainings that differ in one thing."""

from __future__ import annotations

import argparse
import pathlib
import shlex
from typing import Any

from agents.cli.common import CommandError, HelpFormatter, positive, use_compilation_cache

PARTS = ("learning", "curricula")
NEED_MORE = ("again", "levels")  # curricula that need earlier runs, or level files
LEARNING = """Trains a config and variations of it, each with several seeds, and compares how often the
agents solve levels that they have never seen. Writes a report with intervals over seeds. After Ctrl-C, the
same command goes on."""
CURRICULA = """Trains with each curriculum, with several seeds, and compares the agents as
`kinetix benchmark learning` does. The first curriculum is what the others are compared with.
All get as many policy steps as training.total_steps gives to one that only plays what it
learns from: where a curriculum attempts candidates, or has a second agent, its runs are shorter."""
EXAMPLES = """examples:
  kinetix benchmark learning --out studies/mirror --try base mirror:ppo.mirror=0.5
  kinetix benchmark learning size=m --out studies/m --seeds 5 --try base both:network=graph,ppo.mirror=0.5
  kinetix benchmark curricula training.total_steps=3_000_000 --out studies/curricula --seeds 5"""


def add_parts(parts: Any) -> None:
    """Adds both parts to those of `kinetix benchmark`."""
    for name, help, text in (
        ("learning", "variations of a training, compared over seeds", LEARNING),
        ("curricula", "trainings with each curriculum, compared over seeds", CURRICULA),
    ):
        parser = parts.add_parser(
            name, help=help, description=text, epilog=EXAMPLES, formatter_class=HelpFormatter
        )
        parser.add_argument("--out", type=pathlib.Path, required=True, help="folder of runs and the report")
        parser.add_argument("--seeds", type=positive, default=3, help="training seeds of each (default 3)")
        parser.add_argument(
            "--at-once",
            action="store_true",
            help="train the seeds of each side by side in one program, as suits a GPU",
        )
        if name == "learning":
            parser.add_argument(
                "--try",
                dest="variations",
                nargs="+",
                required=True,
                metavar="NAME[:FIELD=VALUE,...]",
                help="variations; the first is the one that the others are compared with",
            )
        else:
            parser.add_argument(
                "--curricula",
                nargs="+",
                metavar="NAME",
                help="names of curricula (default: domain_randomization, then all others that need no files)",
            )
        parser.add_argument("overrides", nargs="*", metavar="FIELD=VALUE", help="as for kinetix train")


def random_level_curricula() -> list[str]:
    """Lists the curricula that need nothing but a generator: domain randomization, then the others."""
    from agents.presets import config_folder

    names = sorted(file.stem for file in (config_folder() / "curriculum").glob("*.yaml"))
    return [
        "domain_randomization",
        *(each for each in names if each not in ("domain_randomization", *NEED_MORE)),
    ]


def main(options: argparse.Namespace) -> None:
    """Runs the study and writes its report."""
    from agents.benchmark.taught import draw_taught
    from agents.benchmark.variations import Variation, VariationStudy, curricula_variations, run_study
    from agents.benchmark.variations_report import write_report
    from agents.config import ConfigError
    from agents.io.checkpoint import CheckpointError
    from agents.training.loop import NotFiniteError, train

    use_compilation_cache()
    try:
        if options.part == "learning":
            title = "Variations of a training"
            variations = tuple(map(Variation.parse, options.variations))
            command = f"--try {' '.join(map(shlex.quote, options.variations))}"
        else:
            title, names = "Curricula", options.curricula or random_level_curricula()
            variations = curricula_variations(names, options.overrides)
            command = f"--curricula {' '.join(names)}"
        overrides = tuple(options.overrides)
        study = VariationStudy(options.out, variations, options.seeds, overrides, options.at_once)
        results = run_study(study, train)
    except (ConfigError, CheckpointError, NotFiniteError) as error:
        raise CommandError(str(error)) from None
    if not results:
        print(f"stopped before two seeds were complete; the same command goes on in {options.out}")
        return
    # Fields come first: --try would take them for variations.
    given = " ".join(map(shlex.quote, overrides))
    text = f"kinetix benchmark {options.part} {given} --seeds {options.seeds} {command} --out FOLDER"
    text += " --at-once" if options.at_once else ""
    folders = {result.variation.name: study.run_folder(result.variation, 0) for result in results}
    draw_taught(folders, options.out / "taught_levels.png")
    print(write_report(options.out, title, " ".join(text.split()), results))
