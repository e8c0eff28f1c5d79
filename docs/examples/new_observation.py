import jax
import jax.numpy as jnp

import kinetix_py as kx
from agents import NetworkConfig, make_network


def compass(state: kx.EnvState, params: kx.EnvParams) -> jax.Array:
    """Offsets of blue and red from green [m], green's velocity [m/s], and the time left: float `[7]`."""
    sim = state.sim

    def center(role, values):
        mine = sim.active & (state.labels.role == role)
        return jnp.where(mine[:, None], values, 0).sum(axis=0) / jnp.maximum(mine.sum(), 1)

    green, blue, red = (center(role, sim.position) for role in (kx.GREEN, kx.BLUE, kx.RED))
    red = jnp.where((sim.active & (state.labels.role == kx.RED)).any(), red - green, 0)
    left = 1 - state.step_count / params.max_timesteps
    return jnp.concatenate([blue - green, red, center(kx.GREEN, sim.velocity), left[None]])


env = kx.make("s", observation_type=compass)
level = kx.sample_level(jax.random.key(0), env.size)
observation, state = env.reset_to_level(level)
print(observation.round(2))

network = make_network(NetworkConfig(kind="mlp", width=32, layers=1), env)
params = network.init(jax.random.key(1))
output = network.step(params, (), observation[None], jnp.ones(1, bool))
print(output.distribution.sample(seed=jax.random.key(2)), output.value.shape)
