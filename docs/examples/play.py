import jax

import kinetix_py as kx

env = kx.make("s")
level = kx.sample_level(jax.random.key(0), env.size)
observation, state = env.reset_to_level(level)
done = False
while not done:
    key = jax.random.fold_in(jax.random.key(1), state.step_count)
    action = env.sample_action(key)
    observation, state, reward, done, info = env.step(key, state, action)
print(f"{int(info['episode_length'])} steps, return {float(info['episode_return']):.2f}")
print("solved" if info["solved"] else "failed" if info["failed"] else "out of time")
