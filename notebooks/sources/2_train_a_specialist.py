# %% [markdown]
# # Make a level, and train a specialist on it
#
# A car must reach a blue ball, but a red rock is in its way, and too high to drive over. The car has two
# driven wheels and a thruster that lifts it. We build the level in Python, let a small network learn it
# with PPO for a minute, and watch what it found.
#
# Needs `pip install -e '.[notebooks]'`.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jax2d
import kinetix_py as kx
from agents import (
    FixedLevels,
    NetworkConfig,
    PPOConfig,
    Trainer,
    UniformPolicy,
    evaluate,
    make_network,
    make_optimizer,
)
from agents.evaluation.episodes import play_levels

# %% [markdown]
# ## The level
#
# `jax2d.Scene` collects bodies, joints and thrusters, checks every value, and gives back where each one is
# in the arrays. The size is our own: no more slots than this level needs, one binding for both motors, one
# for the thruster.

# %%
size = kx.LevelSize(
    num_polygons=6,  # four walls, the chassis, the rock
    num_circles=3,
    num_joints=2,
    num_thrusters=1,
    num_motor_bindings=1,
    num_thruster_bindings=1,
)
scene = jax2d.Scene(size.sim_spec())
scene.add_walls()
chassis = scene.add_box((0.9, 0.85), 0.9, 0.2)
rock = scene.add_box((2.6, 0.575), 0.3, 0.35, static=True)
goal = scene.add_circle((4.4, 0.6), 0.2)
for x in (0.6, 1.2):
    wheel = scene.add_circle((x, 0.65), 0.22)
    scene.add_revolute_joint(chassis, wheel, (x, 0.65), motor=True)
scene.add_thruster(chassis, direction=jnp.pi / 2, power=0.8)

role = np.zeros(size.num_bodies, int)
role[chassis.index], role[goal.index], role[rock.index] = kx.GREEN, kx.BLUE, kx.RED
level = kx.from_scene(scene.build(), size, role=role, motor_binding=[0, 0], thruster_binding=[0])
level.show(legend=True)

# %% [markdown]
# `kx.save_level("rock.json", ...)` would keep it as a file, for `kinetix train curriculum=levels
# 'curriculum.levels=[rock.json]'`.
#
# ## The environment
#
# One vector as observation is enough for a single level. With four physics steps to an action (two are
# usual) an episode of 64 steps takes a little over four seconds of the game.

# %%
env = kx.make(size, observation_type="flat", frame_skip=4)
numbers = kx.EnvParams(max_timesteps=64)
levels = kx.stack_levels([level])

chance = evaluate(jax.random.key(0), UniformPolicy(env), (), env, levels, numbers, attempts=256).solve_rate
print(f"acting at random solves {chance:.1%} of 256 attempts")

# %% [markdown]
# ## Training
#
# `Trainer` is the same program that `kinetix train` runs. A curriculum proposes the levels of each
# rollout, here always ours; rollouts of 64 steps are whole episodes. Exploring is worth more entropy than
# usual: an agent that is sure too early stops in front of the rock, where nothing hurts.

# %%
UPDATES, PER_CALL, ENVS, STEPS = 32, 4, 256, 64
network = make_network(
    NetworkConfig(kind="mlp", width=64, layers=2, head_width=64, head_layers=1),
    env,
)
ppo = PPOConfig(
    learning_rate=2e-3,
    anneal_lr=True,
    gamma=0.98,
    gae_lambda=0.9,
    num_epochs=4,
    minibatch_size=1024,
    entropy_coef=0.03,
)
trainer = Trainer(
    env=kx.make(size, observation_type="flat", frame_skip=4, auto_reset=True),
    policy=network,
    curriculum=FixedLevels(levels, ENVS),
    optimizer=make_optimizer(ppo, UPDATES * ppo.num_epochs * ppo.num_minibatches(ENVS, STEPS)),
    ppo=ppo,
    num_envs=ENVS,
    rollout_length=STEPS,
)
state = trainer.init(jax.random.key(1), network.init(jax.random.key(2)))
curve = []
for _ in range(UPDATES // PER_CALL):
    state, metrics = trainer.train_steps(state, numbers, PER_CALL)
    curve += list(np.asarray(metrics["solve_rate"]))
    print(f"update {len(curve):2d}: {curve[-1]:.2f} of the episodes solved")

# %%
plt.figure(figsize=(6, 3))
plt.plot(ENVS * STEPS * np.arange(1, UPDATES + 1), curve, label="while learning")
plt.axhline(chance, color="gray", linestyle="--", label="at random")
plt.xlabel("environment steps")
plt.ylabel("share of episodes solved")
plt.ylim(0, 1)
plt.legend()
plt.grid(alpha=0.3)

# %% [markdown]
# ## What it found
#
# Evaluated on new episodes, in which it still acts by chance where it is unsure:

# %%
results = play_levels(
    jax.random.key(3),
    network,
    state.params,
    env,
    jax.tree.map(lambda leaf: jnp.repeat(leaf, 256, axis=0), levels),
    numbers,
    max_steps=64,
    keep_states=True,
)
solved, length, states = results.solved, results.length, results.states
rate = float(solved.mean())
print(f"the specialist solves {rate:.1%} of 256 attempts, in {float(length.mean()):.0f} steps on average")

# %%
best = int(jnp.argmin(jnp.where(solved, length, 1000)))
episode = jax.tree.map(lambda leaf: leaf[: int(length[best]) + 1, best], states)
some = np.linspace(0, int(length[best]), 8).astype(int)
kx.render_svg(jax.tree.map(lambda leaf: leaf[some], episode), width=170)

# %% [markdown]
# `kx.save_video(episode, "rock.html")` writes a page that plays it.
#
# Try a higher rock, a weaker thruster, or half the entropy.
