# %% [markdown]
# # Random levels, and which of them are worth learning from
#
# Agents that shall solve levels they have never seen learn on random ones. We draw 1,000, look at what the
# distribution gives, and score how much there is to learn from each: `p (1 - p)`, where `p` is how often
# the present policy solves it. What is always or never solved teaches nothing.
#
# Needs `pip install -e '.[notebooks]'`.

# %%
import jax
import matplotlib.pyplot as plt
import numpy as np

import kinetix_py as kx
from agents import UniformPolicy, evaluate, load_policy
from agents.curricula.scores import learnability

env = kx.make("s")
COUNT = 1000

# %% [markdown]
# ## Draw
#
# `sample_filtered_levels` leaves out levels that doing nothing solves. Every number of the distribution is
# a field of `kx.GeneratorParams`, and traced: changing one compiles nothing.

# %%
levels, _ = kx.sample_filtered_levels(jax.random.key(0), COUNT, env.size)
kx.render_svg(levels, width=170)

# %% [markdown]
# ## Statistics
#
# A batch of levels is a pytree of arrays with one more axis, so statistics are array expressions.

# %%
sim, role = levels.sim, np.asarray(levels.labels.role)
free = np.asarray(sim.active) & (np.arange(env.size.num_bodies) >= env.size.num_walls)
motor = np.asarray(sim.joints.active & sim.joints.motor_on & ~sim.joints.weld).any(1)
thruster = np.asarray(sim.thrusters.active).any(1)
red = (role == 3).any(1)
shares = {
    "motor": motor.mean(),
    "thruster": thruster.mean(),
    "both": (motor & thruster).mean(),
    "something red": red.mean(),
    "red floor": (role[:, 0] == 3).mean(),
}
for name, share in shares.items():
    print(f"{name:<20}{share:6.1%}")

# %%
green, blue = (np.argmax(role == wanted, axis=1) for wanted in (1, 2))
row = np.arange(COUNT)
position = np.asarray(sim.position)
distance = np.linalg.norm(position[row, green] - position[row, blue], axis=1)
distance = distance[blue > 0]  # a blue floor has no center worth naming

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3))
left.bar(list(shares), list(shares.values()), color="#0072B2")
left.tick_params(axis="x", rotation=60)
left.set(title="share of levels", ylim=(0, 1))
middle.hist(free.sum(1), bins=np.arange(1.5, 4), rwidth=0.8, color="#0072B2")
middle.set(title="shapes besides the walls", xticks=[2, 3])
right.hist(distance, bins=30, color="#0072B2")
right.set(title="green to blue, centers [m]")
figure.tight_layout()

# %% [markdown]
# ## Learnability
#
# A policy that acts at random attempts each level 8 times. (In training the scores come from the agent
# itself and are renewed as it learns: `agents/curricula/sfl.py`.)

# %%
ATTEMPTS = 8
rate = evaluate(jax.random.key(1), UniformPolicy(env), (), env, levels, attempts=ATTEMPTS).level_rates
score = np.asarray(learnability(rate))
print(f"solve rate of the random policy: {rate.mean():.3f}")
print(f"never solved: {(rate == 0).mean():.1%}, always: {(rate == 1).mean():.1%}")
print(f"levels with something to learn: {(score > 0).mean():.1%}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
left.hist(rate, bins=np.arange(ATTEMPTS + 2) / ATTEMPTS - 0.5 / ATTEMPTS, color="#0072B2")
left.set(title="how often chance solves a level", xlabel="p", ylabel="levels")
right.plot(np.sort(score)[::-1], color="#0072B2")
right.set(title="learnability p (1 - p), sorted", xlabel="levels", ylim=(0, 0.26))
right.grid(alpha=0.3)
figure.tight_layout()

# %% [markdown]
# The eight most learnable, which chance solves about every second time:

# %%
best = np.argsort(-score)[:8]
print("p:", rate[best])
kx.render_svg(jax.tree.map(lambda leaf: leaf[best], levels), width=170)

# %% [markdown]
# And eight that it never solved. Some of these are hard, some impossible; a score from attempts alone
# cannot tell them apart, but either way they would fill a rollout and teach little.

# %%
never = np.flatnonzero(rate == 0)[:8]
kx.render_svg(jax.tree.map(lambda leaf: leaf[never], levels), width=170)

# %% [markdown]
# ## What a trained agent makes of them
#
# `load_policy("s")` is an agent that comes with the package, trained on other random levels. It acts every
# fourth frame. These are levels that it solves at least seven times out of eight, and chance never:

# %%
agent = load_policy("s")
trained = evaluate(
    jax.random.key(2), agent.policy, agent.params, agent.env, levels, agent.env_params, attempts=ATTEMPTS
).level_rates
print(
    f"solve rate: {trained.mean():.3f}, of levels that chance never solves: {trained[rate == 0].mean():.3f}"
)
learned = np.flatnonzero((rate == 0) & (trained >= 7 / 8))[:8]
kx.render_svg(jax.tree.map(lambda leaf: leaf[learned], levels), width=170)

# %% [markdown]
# What there is to learn has changed: for the agent, `p (1 - p)` is large where it was 0 for chance.

# %%
figure, axis = plt.subplots(figsize=(4.5, 3))
for name, rates in (("chance", rate), ("agent", trained)):
    axis.plot(np.sort(rates)[::-1], label=name)
axis.set(title="solve rates, sorted", xlabel="levels", ylim=(0, 1.02))
axis.legend()
figure.tight_layout()
for_agent = np.asarray(learnability(trained))
print(f"levels with something to learn for the agent: {(for_agent > 0).mean():.1%}")

# %% [markdown]
# Sampling for learnability (SFL) trains on the levels with the highest score: `kinetix train curriculum=sfl`.
