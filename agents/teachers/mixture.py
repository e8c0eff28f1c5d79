"""Gaussian mixtures, fitted by expectation maximization in arrays of a fixed shape."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp

from agents.teachers.cholesky import EXACT, cholesky, invert_lower

REGULARIZATION = 1e-6  # added to variances, as scikit-learn's GaussianMixture does
TOLERANCE = 1e-3  # least gain of the mean log likelihood of a point that is worth another step; likewise
MAX_STEPS = 100  # likewise
NUM_LLOYD_STEPS = 10  # steps of k-means, from which the first step begins


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Mixture:
    """A mixture of at most K Gaussians in D dimensions; those with no weight do not exist."""

    weights: jax.Array  # float [K], sum 1; 0 in an empty mixture
    means: jax.Array  # float [K, D]
    covariances: jax.Array  # float [K, D, D]

    @classmethod
    def empty(cls, num_components: int, num_dims: int) -> Mixture:
        """Returns a mixture of no component, with places for some."""
        covariances = jnp.broadcast_to(jnp.eye(num_dims), (num_components, num_dims, num_dims))
        return cls(jnp.zeros(num_components), jnp.zeros((num_components, num_dims)), covariances)

    @property
    def exists(self) -> jax.Array:
        """Components with a weight: bool `[K]`."""
        return self.weights > 0

    def log_densities(self, points: jax.Array) -> jax.Array:
        """Logarithm of each component's weight times its density at points `[N, D]`: `[N, K]`."""

        def of_component(mean, covariance):
            factor = cholesky(covariance)
            scaled = jnp.dot(invert_lower(factor), (points - mean[None]).T, precision=EXACT)
            log_root = jnp.log(jnp.diagonal(factor)).sum()
            return -0.5 * (scaled**2).sum(0) - log_root - 0.5 * len(mean) * math.log(2 * math.pi)

        densities = jax.vmap(of_component)(self.means, self.covariances).T
        log_weights = jnp.where(self.exists, jnp.log(jnp.where(self.exists, self.weights, 1.0)), -jnp.inf)
        return densities + log_weights[None]

    def draw(self, key: jax.Array, component: jax.Array, num_dims: int) -> jax.Array:
        """Draws points of components, without the last dimensions.

        Args:
          key: random key.
          component: int32 `[n]`.
          num_dims: number of first dimensions to draw; static.

        Returns:
          points `[n, num_dims]`.
        """
        factors = jax.vmap(cholesky)(self.covariances[:, :num_dims, :num_dims])[component]
        normal = jax.random.normal(key, (component.shape[0], num_dims))
        offset = jnp.einsum("nij,nj->ni", factors, normal, precision=EXACT)
        return self.means[component, :num_dims] + offset


def seed_means(key: jax.Array, points: jax.Array, count: int) -> jax.Array:
    """Chooses points far from each other, `[count, D]` of `[N, D]`.

    Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding" (2007), section 2.2.
    """
    first = points[jax.random.randint(key, (), 0, points.shape[0])]
    squared = lambda point: ((points - point[None]) ** 2).sum(1)

    def add(i, carried):
        means, nearest = carried
        chosen = points[jax.random.categorical(jax.random.fold_in(key, i), jnp.log(nearest))]
        return means.at[i].set(chosen), jnp.minimum(nearest, squared(chosen))

    means = jnp.zeros((count, points.shape[1])).at[0].set(first)
    return jax.lax.fori_loop(1, count, add, (means, squared(first)))[0]


def nearest_means(points: jax.Array, means: jax.Array, active: jax.Array) -> jax.Array:
    """Assigns each of points `[N, D]` to the nearest active of means `[K, D]`: 0 or 1, `[N, K]`."""
    distance = ((points[:, None] - means[None]) ** 2).sum(-1)
    nearest = jnp.argmin(jnp.where(active[None], distance, jnp.inf), axis=1)
    return jax.nn.one_hot(nearest, means.shape[0])


def maximize(points: jax.Array, shares: jax.Array) -> Mixture:
    """Fits a mixture to points of which each component has a share: the M step.

    Args:
      points: `[N, D]`.
      shares: `[N, K]`, of each point sum 1; 0 of components that are not to exist.
    """
    count = shares.sum(0)
    divisor = jnp.maximum(count, 1e-6)
    means = jnp.einsum("nk,nd->kd", shares, points, precision=EXACT) / divisor[:, None]
    centered = points[:, None] - means[None]
    covariances = jnp.einsum("nk,nki,nkj->kij", shares, centered, centered, precision=EXACT)
    covariances = covariances / divisor[:, None, None] + REGULARIZATION * jnp.eye(points.shape[1])[None]
    return Mixture(count / points.shape[0], means, covariances)


def fit_components(points: jax.Array, means: jax.Array, active: jax.Array) -> tuple[Mixture, jax.Array]:
    """Fits a mixture of the active components by k-means and then expectation maximization.

    Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm" (1977).

    Args:
      points: `[N, D]`.
      means: `[K, D]`, from which k-means starts.
      active: bool `[K]`.

    Returns:
      the mixture, and the mean log likelihood of a point: `[]`.
    """

    def lloyd(_, means):
        shares = nearest_means(points, means, active)
        count = shares.sum(0)[:, None]
        moved = jnp.einsum("nk,nd->kd", shares, points, precision=EXACT) / jnp.maximum(count, 1)
        return jnp.where(count > 0, moved, means)

    def step(carried):
        mixture, _, likelihood, number = carried
        densities = mixture.log_densities(points)
        total = jax.scipy.special.logsumexp(densities, axis=1, keepdims=True)
        return maximize(points, jnp.exp(densities - total)), likelihood, total.mean(), number + 1

    def improves(carried):
        _, before, now, number = carried
        return (number < 2) | ((number < MAX_STEPS) & (jnp.abs(now - before) >= TOLERANCE))

    means = jax.lax.fori_loop(0, NUM_LLOYD_STEPS, lloyd, means)
    start = maximize(points, nearest_means(points, means, active))
    carried = (start, jnp.float32(-jnp.inf), jnp.float32(-jnp.inf), 0)
    mixture, _, likelihood, _ = jax.lax.while_loop(improves, step, carried)
    return mixture, likelihood


def fit_mixture(key: jax.Array, points: jax.Array, least: int, most: int) -> Mixture:
    """Fits mixtures of several numbers of components, and takes the one with the least AIC.

    Akaike's information criterion is `2 p - 2 log L`: p free parameters, likelihood L of all points.

    Args:
      key: random key.
      points: `[N, D]`.
      least, most: numbers of components to try, inclusive; static.

    Returns:
      the mixture, with places for `most` components; an empty one if no fit is finite.
    """
    num_points, num_dims = points.shape
    seeds = seed_means(key, points, most)
    counts = jnp.arange(least, most + 1)
    active = jnp.arange(most)[None] < counts[:, None]
    mixtures, likelihood = jax.vmap(fit_components, (None, None, 0))(points, seeds, active)
    parameters = counts * (1 + num_dims + num_dims * (num_dims + 1) // 2) - 1
    aic = 2 * parameters - 2 * num_points * likelihood
    best = jnp.argmin(jnp.where(jnp.isfinite(aic), aic, jnp.inf))
    chosen: Mixture = jax.tree.map(lambda leaf: leaf[best], mixtures)
    empty = Mixture.empty(most, num_dims)
    return jax.tree.map(lambda a, b: jnp.where(jnp.isfinite(aic[best]), a, b), chosen, empty)
