import jax

import agents
import kinetix_py as kx

env = kx.make("s")
levels, _ = kx.sample_filtered_levels(jax.random.key(0), 64, env.size)
policy, params = agents.UniformPolicy(env), ()  # or those of agents.load_policy("runs/NAME")
result = agents.evaluate(jax.random.key(1), policy, params, env, levels, attempts=8)
low, high = result.level_interval  # over the distribution of levels; attempt_interval: on these levels
print(
    f"{result.solve_rate:.3f} ({low:.3f} .. {high:.3f}) of 8 attempts at each of {result.num_levels} levels"
)
