import jax

import kinetix_py as kx
from agents.training.evaluate import attempt, mean_with_interval
from agents.training.judge import UniformPolicy

env = kx.make("s")
levels, _ = kx.sample_filtered_levels(jax.random.key(0), 64, env.size)
policy, params = UniformPolicy(env), ()  # or network.apply, and what was learnt
solved, length = attempt(
    jax.random.key(1), policy, params, env, levels, env.default_params, attempts=8, num_steps=256
)
mean, low, high = mean_with_interval(solved)
print(f"{mean:.3f} ({low:.3f} .. {high:.3f}) of 8 attempts at each of {len(solved)} levels")
