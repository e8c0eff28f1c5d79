"""Draws the pictures of the documentation: python -m tools.make_docs_pictures [--out docs/pictures]"""

from __future__ import annotations

import argparse
import pathlib

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np

import kinetix_py as kx
from agents.cli.common import use_compilation_cache
from kinetix_py.env.episodes import play_episodes

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "docs" / "examples" / "wheel_and_bar.json"
CLOCKWISE = 2  # of a motor, as a multi-discrete choice


def drive() -> tuple[kx.EnvState, jax.Array, bool]:
    """Plays the example level with its motor always on.

    Returns:
      states `[T + 1]`, the action, and whether it solved the level.
    """
    env = kx.make("s")
    action = env.noop_action.at[0].set(CLOCKWISE)
    act = lambda key, carry, obs, state, first: (carry, action[None])
    levels = kx.stack_levels([kx.load_level(EXAMPLE)])
    played = jax.jit(lambda key: play_episodes(key, env, levels, act, keep_states=True))(jax.random.key(0))
    return at(played.states, (slice(int(played.length[0]) + 1), 0)), action, bool(played.solved[0])


def at(states: kx.EnvState, index) -> kx.EnvState:
    """Some states of an episode."""
    return jax.tree.map(lambda leaf: leaf[index], states)


def draw_example(out: pathlib.Path) -> None:
    """The level of the example file, the episode that solves it, and what agents may see of it."""
    kx.load_level(EXAMPLE).show(legend=True, scale_bar=True).save(out / "level.svg")
    states, action, solved = drive()
    if not solved:
        raise RuntimeError("the example level is no longer solved by its motor alone")
    count = states.batch_shape[0]
    some = np.linspace(0, count - 1, 4).astype(int)
    actions = jnp.broadcast_to(action, (4, *action.shape))
    kx.render_svg(at(states, some), action=actions, contacts=True, width=200).save(out / "episode.svg")
    kx.save_video(states, out / "episode.gif", solved=solved, size=200, progress=False)
    kx.save_video(states, out / "episode.html", actions=jnp.stack([action] * (count - 1)), solved=solved)
    draw_observations(at(states, some[1]), out)


def draw_observations(state: kx.EnvState, out: pathlib.Path) -> None:
    """The same moment as pixels and as the table of shapes of the entity observation."""
    pixels = kx.make("s", observation_type="pixels").observe(state)
    tables = kx.make("s").observe(state)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10, 3.4), width_ratios=(1, 2), constrained_layout=True
    )
    left.imshow(np.asarray(pixels))
    left.set_title(f"pixels, {' x '.join(map(str, pixels.shape))}")
    left.axis("off")
    shown = right.imshow(np.asarray(tables.shapes), cmap="RdBu", vmin=-2, vmax=2, aspect="auto")
    kinds = [f"polygon {i}" for i in range(5)] + [f"circle {i}" for i in range(2)]
    right.set_yticks(range(len(kinds)), kinds)
    right.set(xlabel="feature", title=f"entity: shapes, {' x '.join(map(str, tables.shapes.shape))}")
    figure.colorbar(shown, ax=right, extend="both")
    figure.savefig(out / "observations.png", dpi=90)
    plt.close(figure)


def draw_random(out: pathlib.Path) -> None:
    """Four random levels of each size, and four of procedural locomotion."""
    for size in kx.SIZES:
        levels, _ = kx.sample_filtered_levels(jax.random.key(4), 4, size)
        kx.render_svg(levels, width=200).save(out / f"random_{size}.svg")
    levels = kx.sample_levels(jax.random.key(4), 4, "l", kx.LocomotionParams())
    kx.render_svg(levels, width=200).save(out / "locomotion_l.svg")


def main() -> None:
    """Draws everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs" / "pictures")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    use_compilation_cache()
    draw_example(out)
    draw_random(out)
    for path in sorted(out.iterdir()):
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
