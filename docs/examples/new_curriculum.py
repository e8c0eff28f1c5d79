import dataclasses

import jax
import jax.numpy as jnp

import agents
import kinetix_py as kx
from agents.curricula.outcome import episode_metrics


@dataclasses.dataclass(frozen=True)
class NearFirst:
    """Random levels whose green and blue are near each other; farther apart as more of them are solved."""

    size: kx.LevelSize
    num_envs: int
    raise_above: float = 0.4  # solve rate
    step: float = 0.1  # m

    def init(self, key, device=0):
        return jnp.float32(1.0)  # the distance allowed now [m]

    def redistribute(self, allowed, num_devices):
        return jnp.full(num_devices, allowed.mean())

    def propose(self, key, policy, params, allowed, num_updates):
        levels = kx.sample_levels(key, 4 * self.num_envs, self.size)
        distance = jax.vmap(kx.goal_distance)(levels.sim, levels.labels.role)
        near = jnp.argsort(distance > allowed, stable=True)[: self.num_envs]
        levels = jax.tree.map(lambda leaf: leaf[near], levels)
        return allowed, agents.LevelBatch(levels, jnp.full(self.num_envs, -1, jnp.int32))

    def observe(self, key, policy, params, allowed, batch, outcome, num_updates):
        metrics = episode_metrics(outcome)
        allowed = allowed + self.step * (metrics["solve_rate"] > self.raise_above)
        return allowed, metrics | {"allowed_distance": allowed}


env = kx.make("s", observation_type="flat", auto_reset=True)
config = agents.NetworkConfig(kind="mlp", width=32, layers=1, head_width=32, head_layers=1)
ppo = agents.PPOConfig(learning_rate=1e-3, num_epochs=1)
trainer = agents.Trainer(
    env=env,
    policy=agents.make_network(config, env),
    curriculum=NearFirst(env.size, num_envs=64),
    optimizer=agents.make_optimizer(ppo),
    ppo=ppo,
    num_envs=64,
    rollout_length=64,
)
state = trainer.init(jax.random.key(0))
state, metrics = trainer.train_steps(state, kx.EnvParams(max_timesteps=64), 3)
for name in ("solve_rate", "allowed_distance"):
    print(name, metrics[name].round(2))
