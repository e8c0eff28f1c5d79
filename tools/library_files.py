"""Files of the library's levels, made from their families: checks, solutions, writing."""

from __future__ import annotations

import dataclasses
import pathlib
import time

import jax
import jax.numpy as jnp
import numpy as np

import jax2d
import kinetix_py as kx
from jax2d.geometry import rotate
from jax2d.validation import body_name
from kinetix_py.levels.difficulty import Difficulty
from kinetix_py.levels.files import LIBRARY, load_level_file
from kinetix_py.levels.library.family import LibraryLevel
from kinetix_py.levels.library.index import INDEX, index_text
from kinetix_py.levels.library.registry import index_rows, library_levels
from kinetix_py.levels.search import baseline, robustness, search, search_environment
from kinetix_py.roles import ROLES

AUTHOR = "kinetix-py"
MAX_OVERLAP = 0.012  # overlap at the start that is more than the slop of a resting contact [m]
MAX_OUTSIDE = 0.02  # by which a shape may stick out of the room [m]
MAX_RANDOM = 0.5  # solve rate of random actions from which a level must be marked easy
MIN_ROBUSTNESS = 0.8
# Levels whose solution may fail from more than 4 of 20 perturbed starts under some seed.
FRAGILE = frozenset({"thrust_aim", "walker_easy"})
PATIENCE = 32  # steps after a solution's end in which a perturbed start may still solve the level


def level_path(member: LibraryLevel) -> pathlib.Path:
    """Returns the path of a level's file."""
    return LIBRARY / member.size / f"{member.name}.json"


def find_problem(member: LibraryLevel) -> str:
    """Explains why a level's file is missing or outdated; empty if it is up to date."""
    path = level_path(member)
    if not path.is_file():
        return "it has no file: it was not solved yet (--solve)"
    file = load_level_file(path)
    if file.solution is None or file.difficulty is None:
        return "its file has no solution or no difficulty (--solve)"
    same = jax.tree.map(lambda a, b: np.allclose(a, b, rtol=1e-6, atol=1e-12), file.level, member.level())
    return (
        "" if all(jax.tree.leaves(same)) else "its family builds another level than the file holds (--solve)"
    )


@jax.jit
def _start_contacts(level: kx.Level):
    spec = level.size.sim_spec()
    actions = jnp.zeros(spec.num_actions)
    return jax2d.step(level.sim, actions, jax2d.SimParams(), spec)[1], jax2d.connected(level.sim)


def _extent(level: kx.Level, body: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the lowest and highest corner of a body's bounding box [m]."""
    sim = jax.tree.map(np.asarray, level.sim)
    polygons = len(sim.vertices)
    if body >= polygons:
        radius = sim.radius[body - polygons]
        return sim.position[body] - radius, sim.position[body] + radius
    points = rotate(sim.vertices[body, : sim.num_vertices[body]], sim.rotation[body])
    return sim.position[body] + points.min(0), sim.position[body] + points.max(0)


def find_faults(member: LibraryLevel) -> list[str]:
    """Lists faults at the start of a level: overlapping shapes, shapes outside the room, a missing role."""
    level = member.level()
    spec = level.size.sim_spec()
    contacts, linked = jax.tree.map(np.asarray, _start_contacts(level))
    pairs, role = jax2d.contact_pairs(spec), np.asarray(level.labels.role)
    active = np.asarray(level.sim.active)
    found = []
    for slot in np.flatnonzero(contacts.active):
        a, b = pairs[slot]
        names = f"{body_name(int(a), spec)} and {body_name(int(b), spec)}"
        if {int(role[a]), int(role[b])} in ({1, 2}, {1, 3}):
            found.append(f"{names} touch at the start, which ends the episode")
        # Static shapes may overlap: a sill and its rail.
        both_static = (np.asarray(level.sim.inverse_mass)[[a, b]] == 0).all()
        if not linked[a, b] and not both_static and contacts.penetration[slot] > MAX_OVERLAP:
            found.append(f"{names} overlap by {contacts.penetration[slot]:.3f} m")
    for body in np.flatnonzero(active[spec.num_walls :]) + spec.num_walls:
        low, high = _extent(level, int(body))
        if (low < np.array([0, 0.4]) - MAX_OUTSIDE).any() or (high > 5 + MAX_OUTSIDE).any():
            found.append(f"{body_name(int(body), spec)} leaves the room: {low} .. {high}")
    for color in (1, 2):
        if not (active & (role == color)).any():
            found.append(f"nothing is {ROLES[color]}")
    return list(dict.fromkeys(found))


def solve(member: LibraryLevel, rounds: int, episodes: int, seed: int) -> list[str]:
    """Searches for a solution, measures the difficulty and writes the file.

    Returns:
      reasons why there is no file; empty if there is one.
    """
    started, env, level = time.time(), search_environment(member.size), member.level()
    found = search(env, level, rounds, seed)
    if found.noop_solves:
        return ["the no-op solves it"]
    if found.actions is None:
        return [f"not solved in {found.search_episodes} episodes, closest {found.closest:.2f} m"]
    # Other directions than those by which the solution was chosen.
    padded = np.zeros((1, 256, found.actions.shape[1]), np.int8)
    padded[0, : len(found.actions)] = found.actions
    patience = min(len(found.actions) + PATIENCE, 256)
    share = float(robustness(env, level, padded, seed=1, limit=patience)[0])
    rest = baseline(env, level, episodes + 1)
    if rest.noop_solves:
        return ["the no-op solves it in the end"]
    if share < MIN_ROBUSTNESS and member.name not in FRAGILE:
        return [f"its solution survives {share:.2f} of perturbed starts, and it is not listed as fragile"]
    if rest.random_solve_rate > MAX_RANDOM and member.label != "easy":
        return [f"random actions solve {rest.random_solve_rate:.2f} of episodes; it must be marked easy"]
    difficulty = Difficulty(
        label=member.label,
        noop_solves=rest.noop_solves,
        random_solve_rate=rest.random_solve_rate,
        random_episodes=rest.random_episodes,
        search_episodes=found.search_episodes,
        robustness=share,
        fragile=share < MIN_ROBUSTNESS,
    )
    save(member, found.actions.tolist(), difficulty)
    print(
        f"{member.path}: solved in {len(found.actions)} steps, first after {found.search_episodes}, "
        f"robust {share:.2f}, random {rest.random_solve_rate:.3f} ({time.time() - started:.0f} s)",
        flush=True,
    )
    return []


def measure(member: LibraryLevel, episodes: int) -> None:
    """Measures the solve rate of random actions again, if it was measured in fewer episodes."""
    file = load_level_file(level_path(member))
    assert file.solution is not None and file.difficulty is not None  # find_problem found none
    if file.difficulty.random_episodes >= episodes:
        return
    rest = baseline(search_environment(member.size), file.level, episodes + 1)
    found = dataclasses.replace(
        file.difficulty, random_solve_rate=rest.random_solve_rate, random_episodes=rest.random_episodes
    )
    save(member, file.solution, found)
    print(f"{member.path}: random {rest.random_solve_rate:.3f} of {episodes}", flush=True)


def save(member: LibraryLevel, solution: list[list[int]], difficulty: Difficulty) -> None:
    """Writes a level's file."""
    path = level_path(member)
    path.parent.mkdir(parents=True, exist_ok=True)
    notes = {"name": member.name, "author": AUTHOR, "description": member.description}
    kx.save_level(member.level(), path, **notes, solution=solution, difficulty=difficulty)


def refresh(member: LibraryLevel) -> None:
    """Writes a level's file again if its description or label has changed."""
    file = load_level_file(level_path(member))
    assert file.solution is not None and file.difficulty is not None  # find_problem found none
    if (file.name, file.description, file.difficulty.label) != (
        member.name,
        member.description,
        member.label,
    ):
        save(member, file.solution, dataclasses.replace(file.difficulty, label=member.label))


def write_index() -> None:
    """Writes the index of all levels that have a file."""
    there = [member for member in library_levels().values() if level_path(member).is_file()]
    INDEX.write_text(index_text(index_rows(there)), encoding="utf-8")
