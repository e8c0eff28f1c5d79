"""The training loop as one compiled program: propose levels, play them and learn in turn, observe."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import kinetix_py as kx
from agents.curricula.outcome import Outcome
from agents.curricula.protocol import Curriculum, LevelBatch, Metrics
from agents.curricula.structure import structure_metrics
from agents.networks.normalize import NormalizedParams
from agents.policy import Params, Policy
from agents.ppo.config import PPOConfig
from agents.ppo.devices import Axis, mean_over_devices, sum_over_devices
from agents.ppo.learner import Learner, LearnerState, share_of_run
from agents.ppo.mirror import check_mirror
from agents.ppo.rollout import check_rollout_length, start_runner

DEVICES = "devices"  # name of the axis of devices
# Metrics that count over all environments; all others are means.
COUNTS = ("episodes", "unfiltered_levels", "diverged", "policy_steps")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that a run carries from one update to the next, and that a checkpoint holds."""

    params: Params
    opt_state: optax.OptState
    curriculum: Any  # state of each device's curriculum, leading axis [num_devices]
    key: jax.Array  # random key of the next update
    num_updates: jax.Array  # int32 [], updates so far
    average: Params | None = None  # moving average of the parameters, with `PPOConfig.ema_decay`

    @property
    def evaluated_params(self) -> Params:
        """Parameters to evaluate: the average if there is one."""
        return self.params if self.average is None else self.average


# Axes of seeds in a state: all are first, but that the number of updates has none.
_AXES: dict[str, Any] = {field.name: 0 for field in dataclasses.fields(TrainState)} | {"num_updates": None}
SEED_AXES = TrainState(**_AXES)


@dataclasses.dataclass(frozen=True)
class Trainer:
    """The static part of a run.

    An update proposes levels once, and then `num_rollouts` times plays `rollout_length` steps and learns from
    them. Episodes go on from one rollout to the next, so that several short rollouts see whole episodes and
    improve the policy more often than one long rollout.

    Attributes:
      env: environment with auto-reset.
      policy: policy that learns.
      curriculum: curriculum that chooses the levels: those of one device, `num_envs / num_devices`.
      optimizer: optimizer, from `agents.ppo.ppo.make_optimizer`.
      ppo: hyperparameters of PPO.
      num_envs: environments, of all devices together.
      rollout_length: steps that each of them plays before the policy learns; at most the time limit.
      num_rollouts: rollouts of one update.
      num_devices: devices among which environments are split; gradients, advantages and metrics are averaged
        over all.
      num_seeds: runs that are trained side by side, each with as many environments. All parts of their state
        but the number of updates, and their metrics, have an axis `[num_seeds]` before all others.
      total_updates: updates of the whole run; needed where something changes over the run, other than the
        learning rate.
      dense_reward_scale_final: dense reward at the end of the run [1/m], to which that of the numbers of the
        game changes linearly; None leaves it as it is.

    Raises:
      ValueError: the environment does not reset itself, a rollout cannot be cut into the minibatches,
        environments or minibatches cannot be split among the devices, `total_updates` is needed and missing,
        or experience cannot be mirrored.
    """

    env: kx.Environment
    policy: Policy
    curriculum: Curriculum
    optimizer: optax.GradientTransformation
    ppo: PPOConfig
    num_envs: int
    rollout_length: int
    num_rollouts: int = 1
    num_devices: int = 1
    num_seeds: int = 1
    total_updates: int | None = None
    dense_reward_scale_final: float | None = None

    def __post_init__(self) -> None:
        if not self.env.auto_reset:
            raise ValueError("a trainer needs an environment with auto_reset=True")
        for name, value in (("num_rollouts", self.num_rollouts), ("num_seeds", self.num_seeds)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not 1 <= self.num_devices <= jax.device_count():
            raise ValueError(
                f"num_devices must be in 1 .. {jax.device_count()}, the devices that JAX has, "
                f"got {self.num_devices}"
            )
        self.ppo.num_minibatches(self.num_envs, self.rollout_length, self.policy.recurrent)
        check_mirror(self.ppo.mirror, self.env, self.policy)
        unit = self.rollout_length if self.policy.recurrent else 1
        for name, value in (("num_envs", self.num_envs), ("minibatch", self.ppo.minibatch_size // unit)):
            if value % self.num_devices:
                raise ValueError(f"a {name} of {value} cannot be split among {self.num_devices} devices")

        final = {
            "PPOConfig.entropy_coef_final": self.ppo.entropy_coef_final,
            "dense_reward_scale_final": self.dense_reward_scale_final,
        }
        for name, end in final.items():
            if end is not None and self.total_updates is None:
                raise ValueError(f"{name}={end} needs total_updates, got None")

    @property
    def learner(self) -> Learner:
        """The part that plays and learns."""
        return Learner(
            env=self.env,
            policy=self.policy,
            optimizer=self.optimizer,
            ppo=self.ppo,
            rollout_length=self.rollout_length,
            num_rollouts=self.num_rollouts,
            maximized_negative=getattr(self.curriculum, "score", "") == "maximized_negative_advantage",
        )

    @property
    def steps_per_update(self) -> int:
        """Environment steps that an update learns from, for each seed."""
        return self.num_envs * self.rollout_length * self.num_rollouts

    def init(self, key: jax.Array, params: Params | None = None) -> TrainState:
        """Makes the state of a run before the first update.

        Args:
          key: random key of the run; of several seeds, `[num_seeds]`.
          params: initial parameters of the policy, of each seed; new ones if None.
        """
        if self.num_seeds == 1:
            return self.place(self._init(key, params))
        mapped = (0, None if params is None else 0)
        return self.place(jax.vmap(self._init, mapped, SEED_AXES)(key, params))

    def state_shapes(self) -> TrainState:
        """Shapes of the arrays of a state."""
        keys = jax.random.split(jax.random.key(0), self.num_seeds)
        return jax.eval_shape(self.init, keys[0] if self.num_seeds == 1 else keys)

    def _init(self, key: jax.Array, params: Params | None) -> TrainState:
        curriculum_key, training_key, policy_key = jax.random.split(key, 3)
        if params is None:
            params = self.policy.init(policy_key)
        params = jax.tree.map(jnp.copy, params)  # `train_steps` reuses the memory of its state
        learner = self.learner.init(params)
        return TrainState(
            params=learner.params,
            opt_state=learner.opt_state,
            curriculum=jax.vmap(self.curriculum.init)(
                jax.random.split(curriculum_key, self.num_devices), jnp.arange(self.num_devices)
            ),
            key=training_key,
            num_updates=jnp.int32(0),
            average=learner.average,
        )

    @property
    def mesh(self) -> Mesh:
        """Devices that the environments are split among."""
        return Mesh(np.array(jax.devices()[: self.num_devices]), (DEVICES,))

    @property
    def partition(self) -> TrainState:
        """Splitting of each part of a state: curricula among the devices, all else on each of them."""
        parts: dict[str, Any] = {field.name: PartitionSpec() for field in dataclasses.fields(TrainState)}
        return TrainState(**parts | {"curriculum": PartitionSpec(*[None] * self._device_axis, DEVICES)})

    @property
    def _device_axis(self) -> int:
        """Axis of devices in the state of curricula."""
        return 0 if self.num_seeds == 1 else 1

    def place(self, state: TrainState) -> TrainState:
        """Puts a state, perhaps one of another number of devices, where `train_steps` expects it.

        A new state and one that is read are then alike for JAX, and share a compiled program.
        """
        count = jax.tree.leaves(state.curriculum)[0].shape[self._device_axis]
        if count != self.num_devices:
            share = lambda states: self.curriculum.redistribute(states, self.num_devices)
            share = share if self.num_seeds == 1 else jax.vmap(share)
            state = dataclasses.replace(state, curriculum=share(state.curriculum))
        if isinstance(jax.tree.leaves(state)[0], jax.core.Tracer):
            return state
        if self.num_devices == 1:
            return jax.device_put(state, jax.devices()[0])

        def put(leaf, sharding):
            if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                return jax.random.wrap_key_data(put(jax.random.key_data(leaf), sharding))
            return jax.device_put(np.asarray(leaf), sharding)  # every process has the whole of it

        place = lambda part, spec: jax.tree.map(lambda leaf: put(leaf, NamedSharding(self.mesh, spec)), part)
        specs = self.partition
        return TrainState(**{name: place(part, getattr(specs, name)) for name, part in vars(state).items()})

    def progress(self, num_updates: jax.Array) -> jax.Array | float:
        """Share of the run that is over, as `share_of_run`; 0 if the number of updates is not known."""
        return share_of_run(num_updates, self.total_updates)

    def env_params_at(self, env_params: kx.EnvParams, progress: jax.Array | float) -> kx.EnvParams:
        """Numbers of the game after a share of the run, in 0 .. 1; traced, so nothing is compiled anew."""
        if self.dense_reward_scale_final is None:
            return env_params
        start = env_params.dense_reward_scale
        scale = start + progress * (self.dense_reward_scale_final - start)
        return dataclasses.replace(env_params, dense_reward_scale=scale)

    @staticmethod
    def update_keys(key: jax.Array, device: jax.Array | int | None) -> tuple[jax.Array, jax.Array]:
        """Splits the key of a state for an update.

        Args:
          key: random key of the state before it.
          device: number of the device; None if there is only one.

        Returns:
          key of the state after it, and those to propose levels, to play and learn, and to observe, `[3]`.
        """
        key, own_key = jax.random.split(key)
        return key, jax.random.split(own_key if device is None else jax.random.fold_in(own_key, device), 3)

    def _update(self, state: TrainState, env_params: kx.EnvParams, axis: Axis) -> tuple[TrainState, Metrics]:
        """Runs one update on one device, whose curriculum is `state.curriculum[0]`."""
        device = None if axis is None else jax.lax.axis_index(axis)
        key, (propose_key, rollouts_key, observe_key) = self.update_keys(state.key, device)
        progress = self.progress(state.num_updates)
        env_params = self.env_params_at(env_params, progress)
        with jax.named_scope("levels"):
            own = jax.tree.map(lambda leaf: leaf[0], state.curriculum)
            own, batch = self.curriculum.propose(
                propose_key, self.policy, state.params, own, state.num_updates
            )
            runner = start_runner(self.env, batch.start, env_params, self.policy)
        learner = LearnerState(state.params, state.opt_state, state.average)
        (params, opt_state, average), steps, losses = self.learner.update(
            rollouts_key, learner, runner, env_params, axis, progress, batch.learn
        )
        with jax.named_scope("levels"):
            own, metrics = self.curriculum.observe(
                observe_key, self.policy, params, own, batch, Outcome.of(steps, axis), state.num_updates
            )
        metrics |= structure_metrics(batch) | losses
        metrics |= {"diverged": steps.info["diverged"].sum(), "policy_steps": self._policy_steps(batch)}
        metrics = {
            name: (sum_over_devices if name in COUNTS else mean_over_devices)(value, axis)
            for name, value in metrics.items()
        }
        learnt = params.network if isinstance(params, NormalizedParams) else params
        metrics["loss/param_norm"] = optax.tree.norm(learnt)
        curriculum = jax.tree.map(lambda leaf: leaf[None], own)
        return TrainState(params, opt_state, curriculum, key, state.num_updates + 1, average), metrics

    def _policy_steps(self, batch: LevelBatch) -> jax.Array:
        """Steps that the policy took on this device in an update, attempts at candidates included."""
        return jnp.float32(self.steps_per_update // self.num_devices) + batch.attempt_steps

    def train_step(self, state: TrainState, env_params: kx.EnvParams) -> tuple[TrainState, Metrics]:
        """Runs one update on one device; pure.

        Args:
          state: state of the run.
          env_params: numbers of the game.

        Returns:
          the state after the update, and metrics by name: scalars, or `[num_seeds]`.
        """
        return self._update_seeds(state, env_params, None)

    def _update_seeds(
        self, state: TrainState, env_params: kx.EnvParams, axis: Axis
    ) -> tuple[TrainState, Metrics]:
        """Runs one update of every seed on one device.

        The number of updates is one for all, so that what depends on it alone, such as whether candidates are
        attempted now, remains a branch and is not computed at every update.
        """
        update = lambda state: self._update(state, env_params, axis)
        if self.num_seeds == 1:
            return update(state)
        return jax.vmap(update, (SEED_AXES,), (SEED_AXES, 0))(state)

    @functools.partial(jax.jit, static_argnums=(0, 3), donate_argnums=1)
    def _train_steps(
        self, state: TrainState, env_params: kx.EnvParams, count: int
    ) -> tuple[TrainState, Metrics]:
        def updates(state, env_params, axis):
            step = lambda state, _: self._update_seeds(state, env_params, axis)
            return jax.lax.scan(step, state, length=count)

        if self.num_devices == 1:
            return updates(state, env_params, None)
        whole = PartitionSpec()
        return jax.shard_map(
            functools.partial(updates, axis=DEVICES),
            mesh=self.mesh,
            in_specs=(self.partition, whole),
            out_specs=(self.partition, whole),
            check_vma=False,  # what is averaged over the devices is the same on all, which is not inferred
        )(state, env_params)

    def train_steps(
        self, state: TrainState, env_params: kx.EnvParams, count: int
    ) -> tuple[TrainState, Metrics]:
        """Runs several updates in one call, on all devices; the memory of `state` is reused.

        Args:
          state: state of the run, not to be used afterwards.
          env_params: numbers of the game.
          count: number of updates; static.

        Returns:
          the state after the updates, and metrics by name: `[count]`, or `[count, num_seeds]`.

        Raises:
          ValueError: a rollout is longer than the time limit.
        """
        check_rollout_length(self.rollout_length, env_params)
        return self._train_steps(state, env_params, count)

    def lower(self, state: TrainState, env_params: kx.EnvParams, count: int) -> jax.stages.Lowered:
        """Traces `train_steps` for its arguments (or their shapes), to be compiled before it is called."""
        check_rollout_length(self.rollout_length, env_params)
        return Trainer._train_steps.lower(self, state, env_params, count)
