"""A critic that classifies: a histogram of the value, learnt by cross-entropy.

Farebrother et al., "Stop regressing: training value functions via classification for scalable deep RL"
(2024), section 3.1: HL-Gauss.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

# Deviation of a target's normal distribution, in widths of a bin; section 3.1 recommends it.
DEVIATION_PER_WIDTH = 0.75


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ValueHistogram:
    """Probabilities of bins of equal width over `-limit .. limit`."""

    logits: jax.Array  # float32 [..., num_bins]
    limit: float = dataclasses.field(metadata={"static": True})

    @property
    def edges(self) -> np.ndarray:
        """Edges of the bins, float32 `[num_bins + 1]`."""
        return np.linspace(-self.limit, self.limit, self.logits.shape[-1] + 1, dtype=np.float32)

    def mean(self) -> jax.Array:
        """Expected value `[...]`, with every bin at its center."""
        edges = self.edges
        centers = jnp.asarray((edges[1:] + edges[:-1]) / 2)
        return (jax.nn.softmax(self.logits) * self._like(centers, self.logits)).sum(axis=-1)

    def target_probs(self, target: jax.Array) -> jax.Array:
        """Spreads targets over the bins by normal distributions, cut off at the limits.

        Args:
          target: float `[...]`; targets beyond the limits count as the limits.

        Returns:
          float `[..., num_bins]`, which sums to 1.
        """
        edges = jnp.asarray(self.edges)
        deviation = DEVIATION_PER_WIDTH * 2 * self.limit / self.logits.shape[-1]
        target = jnp.clip(target, -self.limit, self.limit)[..., None]
        below = jax.scipy.stats.norm.cdf((self._like(edges, target) - target) / deviation)
        return (below[..., 1:] - below[..., :-1]) / (below[..., -1:] - below[..., :1])

    def cross_entropy(self, target: jax.Array) -> jax.Array:
        """Cross-entropy `[...]` [nats] between the spread targets `[...]` and the histogram."""
        return -(self.target_probs(target) * jax.nn.log_softmax(self.logits)).sum(axis=-1)

    def __getitem__(self, index) -> ValueHistogram:
        """Part of the batch, by an index of the leading axes."""
        return dataclasses.replace(self, logits=self.logits[index])

    @staticmethod
    def _like(row: jax.Array, table: jax.Array) -> jax.Array:
        """A vector with as many leading axes as a table, of length 1."""
        return row.reshape((1,) * (table.ndim - 1) + (-1,))
