# %% [markdown]
# # Train from torch, through Gymnasium
#
# Learners that are not written in JAX see the game as a Gymnasium environment with numpy arrays. Here a
# policy in torch learns one level by REINFORCE, in about sixty lines.
#
# Needs `pip install -e '.[notebooks]'` and torch, which is no dependency of this project.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch

import jax2d
import kinetix_py as kx
from kinetix_py.wrappers.gymnasium import GymnasiumEnv, GymnasiumVectorEnv

torch.manual_seed(0)
torch.set_num_threads(1)

# %% [markdown]
# ## The level
#
# A ship without gravity, pushed to the right by one thruster and upwards by the other. Acting at random, it
# mostly drifts into the red ball.

# %%
level_size = kx.LevelSize(
    num_polygons=5,
    num_circles=2,
    num_joints=0,
    num_thrusters=2,
    num_motor_bindings=0,
    num_thruster_bindings=2,
)
scene = jax2d.Scene(level_size.sim_spec())
scene.add_walls()
scene.set_gravity((0, 0))
ship = scene.add_box((0.8, 1.2), 0.3, 0.3)
goal = scene.add_circle((4.2, 3.2), 0.35, static=True)
trap = scene.add_circle((2.2, 4.2), 0.4, static=True)
for angle in (0, np.pi / 2):
    scene.add_thruster(ship, direction=angle, power=0.02)
role = np.zeros(level_size.num_bodies, int)
role[ship.index], role[goal.index], role[trap.index] = kx.GREEN, kx.BLUE, kx.RED
level = kx.from_scene(scene.build(), level_size, role=role, thruster_binding=[0, 1])
levels = kx.stack_levels([level])
kx.render_svg(levels)

# %% [markdown]
# ## The environments
#
# `GymnasiumVectorEnv` plays 64 of them in one compiled call. An episode that ends begins again in the same
# step (`AutoresetMode.SAME_STEP`). Actions are numpy or anything that numpy reads.

# %%
ENVS, STEPS = 64, 48
numbers = kx.EnvParams(max_timesteps=STEPS)
game = kx.make(level_size, observation_type="flat", frame_skip=4, auto_reset=True)
envs = GymnasiumVectorEnv(game, levels, ENVS, numbers)
print(envs.single_observation_space.shape, envs.single_action_space)

# %% [markdown]
# ## The learner
#
# Two thrusters, each on or off: a Bernoulli variable each. The gradient of the expected return is that of
# the log-probability of what was done, weighted by what came after, less the mean over the environments.

# %%
size = envs.single_observation_space.shape[0]
policy = torch.nn.Sequential(torch.nn.Linear(size, 64), torch.nn.Tanh(), torch.nn.Linear(64, 2))
optimizer = torch.optim.Adam(policy.parameters(), lr=5e-3)


def act(observation):
    """Actions `[envs, 2]`, and what they were drawn from."""
    chance = torch.distributions.Bernoulli(logits=policy(torch.as_tensor(observation)))
    return chance.sample(), chance


def rollout():
    """Plays one episode in every environment; what follows an early end does not count."""
    observation, _ = envs.reset()
    running, solved = np.ones(ENVS, bool), np.zeros(ENVS, bool)
    log_probs, rewards, counts = [], [], []
    for _ in range(STEPS):
        action, chance = act(observation)
        observation, reward, terminated, truncated, info = envs.step(action.numpy().astype(np.int32))
        log_probs.append(chance.log_prob(action).sum(1))
        rewards.append(reward * running)
        counts.append(running.copy())
        solved |= running & info["solved"]
        running &= ~(terminated | truncated)
    return torch.stack(log_probs), np.array(rewards), np.array(counts), solved.mean()


# %%
envs.reset(seed=0)
curve = []
for _ in range(60):
    log_probs, rewards, counts, rate = rollout()
    to_come = rewards[::-1].cumsum(0)[::-1]
    advantage = (to_come - to_come.mean(1, keepdims=True)) / (to_come.std() + 1e-6)
    loss = -(log_probs * torch.as_tensor(advantage * counts, dtype=torch.float32)).sum() / counts.sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    curve.append(float(rate))
early, late = np.mean(curve[:5]), np.mean(curve[-5:])
print(f"solved in the first five updates: {early:.2f}, in the last five: {late:.2f}")

# %%
plt.figure(figsize=(6, 3))
plt.plot(ENVS * STEPS * np.arange(1, len(curve) + 1), curve)
plt.xlabel("environment steps")
plt.ylabel("share of episodes solved")
plt.ylim(0, 1)
plt.grid(alpha=0.3)

# %% [markdown]
# ## One episode
#
# `GymnasiumEnv` is a single environment, for anything that expects `gymnasium.Env`.

# %%
env = GymnasiumEnv(
    kx.make(level_size, observation_type="flat", frame_skip=4), levels, numbers, render_mode="rgb_array"
)
observation, _ = env.reset(seed=0)
pictures, over = [env.render()], False
while not over:
    action = act(observation[None])[0][0].numpy().astype(np.int32)
    observation, reward, terminated, truncated, info = env.step(action)
    pictures.append(env.render())
    over = terminated or truncated
some = np.linspace(0, len(pictures) - 1, 5).astype(int)
figure, axes = plt.subplots(1, 5, figsize=(12, 2.6))
for axis, index in zip(axes, some, strict=True):
    axis.imshow(pictures[index])
    axis.set_title(f"step {index}")
    axis.axis("off")
print("solved:", bool(info["solved"]))
