"""Renders all levels of the library into one page: name, size, difficulty, and the solution as an animation.

python -m tools.gallery                      docs/library.html and docs/library/*.gif
python -m tools.gallery --sheet sheet.png    only a picture of how all levels start
"""

from __future__ import annotations

import argparse
import html
import pathlib

from agents.cli.common import use_compilation_cache

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "docs"
PIXELS = 160
EVERY = 3  # environment steps from one picture of an animation to the next
HOLD = 10  # pictures for which an animation stays at its end
STYLE = """body{font:15px sans-serif;margin:2em;color:#222}
main{display:grid;grid-template-columns:repeat(auto-fill,180px);gap:18px}
figure{margin:0}img{border:1px solid #bbb;width:160px;height:160px}
figcaption{font-size:12px;line-height:1.35}b{font-size:13px}"""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=FOLDER, help="folder of the page (default docs)")
    parser.add_argument("--sheet", type=pathlib.Path, help="write one picture of all starts instead")
    return parser.parse_args(arguments)


def films(size: str):
    """Pictures of every solution of a size: name, level file, and uint8 `[frames, PIXELS, PIXELS, 3]`."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    import kinetix_py as kx
    from kinetix_py.env.episodes import action_sequence, play_episodes
    from kinetix_py.levels.open_loop import padded_actions

    env = kx.make(size, observation_type="blind")
    steps = 256

    @jax.jit
    def frames(level, actions):
        levels, act = jax.tree.map(lambda value: value[None], level), action_sequence(actions[None])
        played = play_episodes(jax.random.key(0), env, levels, act, jnp.int32(0), keep_states=True)
        states = jax.tree.map(lambda value: value[:, 0], played.states)
        kept = jax.tree.map(lambda value: jnp.concatenate([value[:1], value[1::EVERY]]), states)
        return (jax.lax.map(lambda state: kx.render_pixels(state, PIXELS), kept) * 255 + 0.5).astype(
            jnp.uint8
        )

    for name in kx.list_levels(f"library/{size}"):
        file = kx.load_level_file(name)
        actions = padded_actions(file.solution or [], steps).astype(np.int32)
        length = len(file.solution or [])
        shown = np.asarray(frames(file.level, actions))
        yield name, file, shown[: -(-length // EVERY) + 2]


def caption(name: str, file) -> str:
    """Text below a level's animation."""
    found = file.difficulty
    fragile = ", fragile" if found.fragile else ""
    return (
        f"<b>{html.escape(name)}</b><br>{html.escape(file.description or '')}<br>{found.label}; random "
        f"{found.random_solve_rate:.1%}; first solution after {found.search_episodes} episodes; "
        f"{len(file.solution)} steps; {found.robustness:.0%} of perturbed starts{fragile}"
    )


def write_page(out: pathlib.Path) -> None:
    """Writes the page and its animations."""
    import imageio.v2 as imageio
    import tqdm

    import kinetix_py as kx

    folder = out / "library"
    folder.mkdir(parents=True, exist_ok=True)
    figures = []
    with tqdm.tqdm(total=len(kx.list_levels()), unit="level") as bar:
        for size in ("s", "m", "l"):
            for name, file, shown in films(size):
                path = folder / f"{name}.gif"
                frames = [*shown, *[shown[-1]] * HOLD]
                imageio.mimsave(path, frames, format="GIF", duration=1000 * EVERY / 30, loop=0)
                figures.append(
                    f'<figure><img src="library/{path.name}" loading="lazy" alt="{html.escape(name)}">'
                    f"<figcaption>{caption(f'{size}/{name}', file)}</figcaption></figure>"
                )
                bar.update()
    head = f"<!doctype html><meta charset='utf-8'><title>Level library</title><style>{STYLE}</style>"
    title = (
        f"<h1>Level library</h1><p>{len(figures)} levels, each solved by the actions that its file holds.</p>"
    )
    page = f"{head}{title}<main>{''.join(figures)}</main>\n"
    (out / "library.html").write_text(page, encoding="utf-8")
    print(out / "library.html")


def write_sheet(path: pathlib.Path, columns: int = 8) -> None:
    """Writes one picture of how all levels start, in the order of `kx.list_levels()`."""
    import imageio.v2 as imageio
    import numpy as np

    starts = [shown[0] for size in ("s", "m", "l") for _, _, shown in films(size)]
    starts += [np.full_like(starts[0], 255)] * (-len(starts) % columns)
    rows = [np.concatenate(starts[i : i + columns], 1) for i in range(0, len(starts), columns)]
    imageio.imwrite(path, np.concatenate(rows, 0))


def main(arguments: list[str] | None = None) -> None:
    """Writes the page, or the sheet."""
    options = parse(arguments)
    use_compilation_cache()
    if options.sheet:
        write_sheet(options.sheet)
    else:
        write_page(options.out)


if __name__ == "__main__":
    main()
