"""Trained policies: those that come with the package, policy files, and the checkpoints of runs."""

from __future__ import annotations

import dataclasses
import pathlib
import warnings
from typing import Any

import jax

import kinetix_py as kx
from agents.bc.data import trained_levels
from agents.build import make_policy
from agents.config import ConfigError, TrainConfig
from agents.io.policy_file import SUFFIX, read_policy_file, write_policy_file
from agents.io.run_folder import BEST, find_checkpoint, open_checkpoints
from agents.policy import Params, Policy
from agents.training.seeds import by_seed, config_of_seed, seed_name, stack_seeds

# Policy files that come with the package, by the size of the levels that they are for.
TRAINED = pathlib.Path(__file__).parent / "trained"
SHIPPED = {"s": TRAINED / "s.npz", "m": TRAINED / "m.npz", "l": TRAINED / "l.npz"}


@dataclasses.dataclass(frozen=True)
class LoadedPolicy:
    """A trained policy, ready to act.

    Attributes:
      policy, params: policy and its parameters.
      config: config of the run that trained it; `env` is as asked for.
      trained_config: the same, as it was trained.
      run: name of the run.
      path: the run folder, or the policy file.
      step: number of updates of the checkpoint.
      levels: paths of the levels that it was trained on, in this run and those that it started from.
      is_best: it is the best checkpoint by the evaluation during training.
      seed: its training seed, if the run trained several; `trained_config` is then that of this seed alone.
    """

    policy: Policy
    params: Params
    config: TrainConfig
    trained_config: TrainConfig
    run: str
    path: pathlib.Path
    step: int
    levels: tuple[str, ...] = ()
    is_best: bool = False
    seed: int | None = None

    @property
    def name(self) -> str:
        """Run and checkpoint, for people."""
        return f"{self.run}, {'best, ' if self.is_best else ''}update {self.step}"

    @property
    def env(self) -> kx.Environment:
        """Environment of the run, without auto-reset."""
        return self.config.env.make()

    @property
    def env_params(self) -> kx.EnvParams:
        """Numbers of the game that the policy was trained in."""
        return self.config.env.params


def shipped_agents() -> list[str]:
    """Lists the names of the agents that come with the package: those of the sizes that they are for."""
    return sorted(SHIPPED)


def policy_file(path: str | pathlib.Path) -> pathlib.Path | None:
    """Returns the policy file that a path or the name of a shipped agent stands for; None for a run."""
    if str(path) in SHIPPED:
        return SHIPPED[str(path)]
    file = pathlib.Path(path)
    return file if file.suffix == SUFFIX and file.is_file() else None


def trained_config(path: str | pathlib.Path) -> TrainConfig:
    """Reads the config that a policy was trained with; arguments and errors as for `load_policy`."""
    file = policy_file(path)
    return find_checkpoint(path).run.config() if file is None else read_policy_file(file).config


def load_policy(
    path: str | pathlib.Path, size: str | None = None, *, contact_order: str | None = None
) -> LoadedPolicy:
    """Loads a trained policy.

    Args:
      path: name of an agent that comes with the package (`shipped_agents`), policy file, run folder (its
        newest checkpoint), `RUN@best` (the best one by the evaluation during training), or one checkpoint.
        Of a run of several seeds it names one of them: `RUN@seed3`, `RUN@seed3@best`.
      size: size of the levels it is to play, `"s"`, `"m"` or `"l"`; if None that of the run, or that which a
        shipped agent is for.
      contact_order: order of contacts it is to play under, as in `kinetix_py.Environment`; that of the run if
        None.

    Raises:
      ConfigError: the path names no policy, or one whose network cannot play this size, or an unknown contact
        order.
      CheckpointError: there is no such checkpoint, its parameters do not fit, or the file is damaged.
    """
    file = policy_file(path)
    if file is not None:
        found = read_policy_file(file)
        size = str(path) if size is None and str(path) in SHIPPED else size
        config = _played_config(found.config, size, contact_order)
        policy = make_policy(config)
        levels = (*found.config.curriculum.levels, *found.inherited_levels)
        params = found.params(jax.eval_shape(policy.init, jax.random.key(0)), file)
        return LoadedPolicy(
            policy, params, config, found.config, found.run, file.resolve(), found.step, levels
        )
    run, step, is_best, seed = find_checkpoint(path)
    of_run = run.config()
    trained = config_of_seed(of_run, _chosen_seed(path, of_run, seed))
    config = _played_config(trained, size, contact_order)
    policy = make_policy(config)
    with open_checkpoints(run, is_best) as checkpoints:
        step = checkpoints.latest if step is None else step
        shapes = [jax.eval_shape(policy.init, jax.random.key(0))] * of_run.training.num_seeds
        params = checkpoints.restore_params(jax.eval_shape(stack_seeds, shapes), step)
    params = by_seed(of_run, params)[trained.training.seed]
    folder, levels = run.path.resolve(), tuple(levels_trained_on(trained))
    name = seed_name(folder.name, of_run, trained.training.seed)
    return LoadedPolicy(policy, params, config, trained, name, folder, step, levels, is_best, seed)


def _chosen_seed(path: str | pathlib.Path, config: TrainConfig, seed: int | None) -> int:
    """Seed of a run that a path names, or its only one.

    Raises:
      ConfigError: the run has several seeds and the path names none, or one that it has not.
    """
    seeds = config.training.seeds
    if seed is None and len(seeds) == 1:
        return seeds[0]
    if seed is None or seed not in seeds:
        names = f"@seed{seeds[0]} to @seed{seeds[-1]}" if len(seeds) > 1 else f"@seed{seeds[0]}"
        raise ConfigError(f"{path}: name a seed of the run: {names} after its path")
    return seed


def paths_of_seeds(path: str | pathlib.Path) -> list[str]:
    """Lists the paths of all policies that a path stands for: of a run of several seeds, one for each.

    Raises:
      ConfigError, CheckpointError: as `load_policy`.
    """
    text = str(path)
    if policy_file(path) is not None:
        return [text]
    found = find_checkpoint(path)
    seeds = found.run.config().training.seeds
    if found.seed is not None or len(seeds) == 1:
        return [text]
    ending = BEST if text.endswith(BEST) else ""
    return [f"{text.removesuffix(BEST)}@seed{seed}{ending}" for seed in seeds]


def _played_config(config: TrainConfig, size: str | None, contact_order: str | None) -> TrainConfig:
    """Changes the environment of a config to what is asked for; None changes nothing."""
    changes: dict[str, Any] = {"size": size, "contact_order": contact_order}
    try:
        env = dataclasses.replace(config.env, **{k: v for k, v in changes.items() if v is not None})
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return dataclasses.replace(config, env=env)


def export_policy(path: str | pathlib.Path, file: str | pathlib.Path) -> pathlib.Path:
    """Writes a trained policy to one file, which `load_policy` reads on any machine.

    Args:
      path: as for `load_policy`.
      file: policy file to write; its name must end in `.npz`.

    Raises:
      ConfigError, CheckpointError: as `load_policy`.
      ValueError: another suffix.
    """
    loaded, file = load_policy(path), pathlib.Path(file)
    inherited = loaded.levels[len(loaded.trained_config.curriculum.levels) :]
    write_policy_file(file, loaded.params, loaded.trained_config, loaded.run, loaded.step, inherited)
    return file


def levels_trained_on(config: TrainConfig) -> list[str]:
    """Lists the paths of the levels that a run was trained on, and the runs that it started from.

    Args:
      config: config of the run.

    Returns:
      paths as in `CurriculumConfig.levels`. A run that `init_from` names and that is gone adds nothing, of
      which a warning tells.
    """
    paths = list(config.curriculum.levels)
    if config.data is not None:
        paths += trained_levels(config.data)
    if config.init_from is None:
        return paths
    try:
        file = policy_file(config.init_from)
        if file is not None:
            origin = read_policy_file(file)
            return [*paths, *origin.config.curriculum.levels, *origin.inherited_levels]
        parent = trained_config(config.init_from)
    except ConfigError as error:
        warnings.warn(f"levels that it was trained on are not marked: {error}", stacklevel=2)
        return paths
    return [*paths, *levels_trained_on(parent)]
