"""Shows what the shipped agents solve and what they do not: one page of rates by family, and of attempts.

python -m tools.agent_gallery                  docs/agent_gallery.html and docs/agent_gallery/*.gif
python -m tools.agent_gallery --attempts 64    more attempts at each level
"""

from __future__ import annotations

import argparse
import dataclasses
import html
import operator
import pathlib
from collections.abc import Sequence

import numpy as np

import kinetix_py as kx
from agents.cli.common import use_compilation_cache
from agents.evaluation.baselines import HELD, RANDOM
from agents.evaluation.evaluation import Evaluation
from agents.evaluation.seeds import FINAL_SEED
from agents.levels import LevelSet
from agents.loading import LoadedPolicy
from tools.gallery import FOLDER, HOLD, PIXELS, STYLE

NAME = "agent_gallery"
CONTACT_ORDER = "kinetix"  # that of published rates
EVERY = 2  # environment steps from one picture of an animation to the next
RANDOM_LEVELS = 128  # unseen levels whose rate is told
RANDOM_SHOWN = 6  # of them, in order, are shown
ALL = "all families"
TABLE_STYLE = (
    "table{border-collapse:collapse}td,th{padding:2px 12px;text-align:right}td:first-child{text-align:left}"
)


@dataclasses.dataclass(frozen=True)
class FamilyRates:
    """Rates of an agent and of chance on the levels of a family.

    Attributes:
      family: name of the family.
      agent, chance: mean solve rates; chance is the better one of the two kinds of random actions.
      solved: number of levels that the agent solves in at least half of its attempts.
      num_levels: number of levels.
    """

    family: str
    agent: float
    chance: float
    solved: int
    num_levels: int


@dataclasses.dataclass(frozen=True)
class Shown:
    """An attempt to be shown.

    Attributes:
      title: name of the level, or its place among the random ones.
      row: its row in the set.
      rate, chance: solve rates of the agent and of chance at this level.
    """

    title: str
    row: int
    rate: float
    chance: float


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=FOLDER, help="folder of the page (default docs)")
    parser.add_argument("--attempts", type=int, default=8, help="attempts at each level (default 8)")
    parser.add_argument("--size", nargs="+", default=list(kx.SIZES), choices=kx.SIZES, help="default: all")
    return parser.parse_args(arguments)


def chance_rates(baselines: Sequence[Evaluation]) -> np.ndarray:
    """Solve rate of each level by the kind of random actions that solves most of the set: `[L]`."""
    return max(baselines, key=lambda each: each.solve_rate).level_rates


def family_rates(families: Sequence[str], agent: np.ndarray, chance: np.ndarray) -> list[FamilyRates]:
    """Averages the rates `[L]` of levels by their families, the largest one first, and over all of them."""
    names = np.array(families)
    order = sorted(set(families), key=lambda name: (-families.count(name), name))
    rows = [(name, names == name) for name in order] + [(ALL, np.ones(len(names), bool))]
    return [
        FamilyRates(
            name,
            float(agent[of].mean()),
            float(chance[of].mean()),
            int((agent[of] >= 0.5).sum()),
            int(of.sum()),
        )
        for name, of in rows
    ]


def extremes(
    names: Sequence[str], families: Sequence[str], agent: np.ndarray, chance: np.ndarray
) -> list[Shown]:
    """Chooses the levels of each family that the agent solves most and least often."""
    shown = []
    for family in dict.fromkeys(families):
        rows = [row for row, name in enumerate(families) if name == family]
        best, worst = max(rows, key=lambda row: agent[row]), min(rows, key=lambda row: agent[row])
        shown += [
            Shown(f"{family}: {names[row]}", row, float(agent[row]), float(chance[row]))
            for row in dict.fromkeys((best, worst))
        ]
    return shown


def films(agent: LoadedPolicy, levels: LevelSet, rows: Sequence[int], attempts: int = 8):
    """Plays levels; yields an attempt at each, uint8 `[frames, PIXELS, PIXELS, 3]`, and whether it solves it.

    The attempt is the first that solves the level, and else the first of all.
    """
    import jax
    import jax.numpy as jnp

    from agents.evaluation.episodes import play_levels
    from agents.evaluation.keys import EvaluationKeys

    steps = int(agent.env_params.max_timesteps)
    repeated = jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf)[list(rows)], attempts, 0), levels.levels)
    played = play_levels(
        EvaluationKeys.from_seed(0).actions,
        agent.policy,
        agent.params,
        agent.env,
        repeated,
        agent.env_params,
        max_steps=steps,
        keep_states=True,
    )
    states, solved = jax.device_get(played.states), np.asarray(played.solved).reshape(-1, attempts)
    lengths = np.asarray(played.length)

    @jax.jit
    def draw(states):
        pixels = jax.lax.map(lambda state: kx.render_pixels(state, PIXELS), states)
        return (pixels * 255 + 0.5).astype(jnp.uint8)

    for place in range(len(rows)):
        column = place * attempts + int(solved[place].argmax())
        pictures = np.asarray(
            draw(jax.tree.map(operator.itemgetter((slice(None, None, EVERY), column)), states))
        )
        yield pictures[: -(-int(lengths[column]) // EVERY) + 1], bool(solved[place].any())


def figure(path: pathlib.Path, shown: Shown, solved: bool) -> str:
    """HTML of an animation and its caption."""
    mark = "solved" if solved else "not solved"
    return (
        f'<figure><img src="{path.parent.name}/{path.name}" loading="lazy" alt="{html.escape(shown.title)}">'
        f"<figcaption><b>{html.escape(shown.title)}</b><br>{mark} here; the agent {shown.rate:.0%}, "
        f"chance {shown.chance:.0%}</figcaption></figure>"
    )


def table(rates: Sequence[FamilyRates]) -> str:
    """HTML of the rates by family."""
    head = "<tr><th>family<th>agent<th>chance<th>solved in half of the attempts"
    rows = [
        f"<tr><td>{html.escape(row.family)}<td>{row.agent:.0%}<td>{row.chance:.0%}"
        f"<td>{row.solved} of {row.num_levels}"
        for row in rates
    ]
    return f"<table>{head}{''.join(rows)}</table>"


def section(size: str, attempts: int, folder: pathlib.Path) -> str:
    """Evaluates the shipped agent of a size, writes its animations, and returns the HTML of its part."""
    import imageio.v2 as imageio

    import agents
    from agents.evaluation.evaluate import NamedPolicy, evaluate_policies
    from agents.evaluation.keys import EvaluationKeys
    from agents.levels import load_level_sets, random_level_set
    from agents.reproduce.tasks import family_of

    agent = agents.load_policy(size, contact_order=CONTACT_ORDER)
    keys = EvaluationKeys.from_seed(FINAL_SEED)
    sets = load_level_sets([f"library/{size}"], agent.env.size)
    sets.append(random_level_set(keys.levels, RANDOM_LEVELS, size, FINAL_SEED))
    found = evaluate_policies(
        keys.actions,
        [NamedPolicy("agent", agent.policy, agent.params)],
        sets,
        agent.env,
        agent.env_params,
        attempts=attempts,
    )
    parts = [f"<h2>Agent {size}</h2>"]
    for levels in sets:
        of_set = [each for each in found if each.level_set == levels.name]
        rates = next(each for each in of_set if not each.baseline).level_rates
        chance = chance_rates([each for each in of_set if each.policy in (RANDOM, HELD)])
        if levels.info.is_random:
            parts.append(
                f"<h3>Random levels</h3><p>{len(levels)} unseen ones: the agent solves {rates.mean():.0%}, "
                f"chance {chance.mean():.0%}. The first {RANDOM_SHOWN} of them:</p>"
            )
            shown = [
                Shown(f"random level {row}", row, rates[row], chance[row]) for row in range(RANDOM_SHOWN)
            ]
        else:
            names = levels.info.level_names
            families = [family_of(name) for name in names]
            parts.append(f"<h3>Library</h3>{table(family_rates(families, rates, chance))}")
            parts.append("<p>The levels of each family that the agent solves most and least often:</p>")
            shown = extremes(names, families, rates, chance)
        figures = []
        for number, (each, (pictures, solved)) in enumerate(
            zip(shown, films(agent, levels, [each.row for each in shown]), strict=True)
        ):
            path = folder / f"{size}_{'random' if levels.info.is_random else 'library'}_{number}.gif"
            frames = [*pictures, *[pictures[-1]] * HOLD]
            duration = 1000 * EVERY * agent.env.frame_skip / 60
            imageio.mimsave(path, frames, format="GIF", duration=duration, loop=0)
            figures.append(figure(path, each, solved))
        parts.append(f"<main>{''.join(figures)}</main>")
    return "\n".join(parts)


def main(arguments: list[str] | None = None) -> None:
    """Writes the page and its animations."""
    options = parse(arguments)
    use_compilation_cache()
    folder = options.out / NAME
    folder.mkdir(parents=True, exist_ok=True)
    sections = [section(size, options.attempts, folder) for size in options.size]
    head = f"<!doctype html><meta charset='utf-8'><title>Agents</title><style>{STYLE}{TABLE_STYLE}</style>"
    text = (
        "<h1>What the shipped agents solve, and what they do not</h1><p>Agents were trained on random levels "
        "alone; every level here is one that they have never seen. Chance is random actions, drawn anew at "
        f"every step or held for eight, whichever solves more. {options.attempts} attempts at each level, "
        f"contact_order={CONTACT_ORDER}. An animation shows the first of 8 attempts that solves the level, "
        "or the first of all.</p>"
    )
    page = options.out / f"{NAME}.html"
    page.write_text("\n".join([head, text, *sections]) + "\n", encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
