import dataclasses

import jax
import jax.numpy as jnp

import agents
import kinetix_py as kx


@dataclasses.dataclass(frozen=True)
class Widening:
    """Tasks near the middle of the box, from farther and farther away as more of them are solved."""

    num_dims: int
    widen_above: float = 0.3  # solve rate
    step: float = 0.05

    def init(self, key):
        return jnp.float32(0.1)  # the distance allowed now, of 0.5

    def sample(self, key, reach, n):
        return reach, 0.5 + reach * jax.random.uniform(key, (n, self.num_dims), minval=-1, maxval=1)

    def update(self, key, reach, tasks, returns, solved):
        return jnp.minimum(reach + self.step * (solved.mean() > self.widen_above), 0.5)


env, params = kx.make("s", observation_type="flat", auto_reset=True), kx.EnvParams(max_timesteps=64)
box = kx.GeneratorBox(("max_static_chance", "gravity"), low=(0.0, -10.0), high=(1.0, 0.0))
config = agents.NetworkConfig(kind="mlp", width=32, layers=1, head_width=32, head_layers=1)
ppo = agents.PPOConfig(learning_rate=1e-3, num_epochs=1)
trainer = agents.Trainer(
    env=env,
    policy=agents.make_network(config, env),
    curriculum=agents.TeacherCurriculum(env, params, 64, Widening(box.dimension), box, num_tasks=16),
    optimizer=agents.make_optimizer(ppo),
    ppo=ppo,
    num_envs=64,
    rollout_length=64,
)
state, metrics = trainer.train_steps(trainer.init(jax.random.key(0)), params, 3)
for name in ("solve_rate", "task/gravity"):
    print(name, metrics[name].round(2))
