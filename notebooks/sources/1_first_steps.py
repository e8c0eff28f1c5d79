# %% [markdown]
# # First steps: load, step, look
#
# A *level* is a small scene of rigid bodies. One is green, one is blue, some may be red: **make green touch
# blue, and do not touch red**. All that an agent can do is drive motors and fire thrusters.
#
# This notebook needs `pip install -e .` and nothing else.

# %%
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

import kinetix_py as kx

# %% [markdown]
# ## Load
#
# A level file is JSON that people can write. This one has a green wheel at the end of a bar, and a blue
# ball. `size: "s"` says how many slots a level has: the walls and one more polygon, two circles, one joint,
# one thruster.

# %%
text = json.dumps(
    {
        "format": "kinetix-py level",
        "version": 1,
        "name": "wheel and bar",
        "size": "s",
        "gravity": [0, -9.81],
        "bodies": [
            {"id": "bar", "shape": "box", "size": [0.9, 0.1], "position": [1.2, 0.55], "rotation": 0.16},
            {"id": "wheel", "shape": "circle", "radius": 0.2, "position": [1.595, 0.614], "role": "green"},
            {"id": "goal", "shape": "circle", "radius": 0.2, "position": [4.2, 0.6], "role": "blue"},
        ],
        "joints": [{"a": "bar", "b": "wheel", "anchor_a": [0.4, 0]}],
    }
)
path = pathlib.Path("wheel_and_bar.json")
path.write_text(text)
level = kx.load_level(path)
level.show(legend=True)

# %% [markdown]
# The joint is a plain hinge: nothing drives it. Files are checked when they are read, and an error names
# what is wrong, where, and what would be right:

# %%
try:
    kx.level_from_json(text.replace('"anchor_a"', '"motor": true, "anchor_a"'))
except kx.LevelError as error:
    print(error)

# %%
text = text.replace('"anchor_a"', '"motor_on": true, "motor_power": 0.2, "anchor_a"')
level = kx.level_from_json(text).level
level.show()

# %% [markdown]
# ## Step
#
# `kx.make` gives an environment of a size. `reset` and `step` are pure functions, compiled at the first
# call. The default action has a choice per *binding*: four for motors (`0` off, `1` counter-clockwise, `2`
# clockwise), two for thrusters (`0` off, `1` on). The mask tells which of them this level has: motor
# binding 0 only.

# %%
env = kx.make("s")
observation, state = env.reset_to_level(level)
print("actions:", env.action_space)
print("mask of the choices of each binding:")
print(env.action_mask(state).astype(int))

# %%
clockwise = env.noop_action.at[0].set(2)
states, done = [state], False
while not done:
    observation, state, reward, done, info = env.step(jax.random.key(0), states[-1], clockwise)
    states.append(state)
print(f"after {len(states) - 1} steps: reward {float(reward):+.2f}, solved: {bool(info['solved'])}")

# %% [markdown]
# An episode ends when green touches blue (+1), when green touches red (-1), or after 256 steps. On the way
# there is a reward of 0.2 per meter that green and blue come closer; `kx.EnvParams(dense_reward_scale=0)`
# turns it off.
#
# The observation is, unless you ask for another one, a table of entities with masks:

# %%
for name, value in vars(observation).items():
    if value is not None:  # such as rules, which plain levels have none of
        print(f"{name:<14} {value.dtype!s:<8} {value.shape}")

# %% [markdown]
# ## Look
#
# Any state can be drawn, with what was done in it:

# %%
kx.render_svg(states[len(states) // 2], action=clockwise, contacts=True)

# %% [markdown]
# A batch of states is drawn as a grid. This is the whole episode, every few steps:

# %%
episode = jax.tree.map(lambda *leaves: np.stack(leaves), *states)
some = np.linspace(0, len(states) - 1, 8).astype(int)
kx.render_svg(jax.tree.map(lambda leaf: leaf[some], episode), width=170)

# %% [markdown]
# `kx.save_video` writes a film (`.gif`, `.mp4`), or an `.html` page that plays, scrubs and zooms and needs
# nothing but a browser. Open it, or embed it here with `IPython.display.IFrame("episode.html", 900, 600)`.

# %%
actions = np.broadcast_to(clockwise, (len(states) - 1, *clockwise.shape))
page = kx.save_video(episode, "episode.html", actions=actions, solved=info["solved"])
print(f"{page}: {page.stat().st_size / 1000:.0f} kB")

# %% [markdown]
# ## Many at once
#
# Everything is a pytree of arrays, so `jax.vmap` plays many levels, here 256 random ones, each with random
# actions and for 100 steps. An environment of `kx.make(..., auto_reset=True)` would start again at its end;
# this one goes on.

# %%
levels = kx.sample_levels(jax.random.key(1), 256, env.size)


@jax.jit
def play(key, levels):
    _, state = jax.vmap(env.reset_to_level)(levels)

    def step(state, key):
        actions = jax.vmap(env.sample_action)(jax.random.split(key, 256))
        _, state, _, done, info = jax.vmap(env.step, (None, 0, 0))(key, state, actions)
        return state, (info["solved"], done)

    return jax.lax.scan(step, state, jax.random.split(key, 100))


_, (solved, done) = play(jax.random.key(2), levels)
wins = solved[jnp.argmax(done, axis=0), jnp.arange(256)]  # at each episode's first end
print(f"{int(done.any(0).sum())} of 256 episodes ended within 100 steps, {int(wins.sum())} of them solved")
kx.render_svg(levels, width=170)

# %% [markdown]
# The next notebook draws a level in Python and trains an agent on it.
