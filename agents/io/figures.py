"""Style that all figures share."""

from __future__ import annotations

from matplotlib.figure import Figure

# Distinguishable without color vision (Okabe and Ito, 2008).
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINE_STYLES = ("-", "--", ":")


def make_figure(width: float, height: float) -> Figure:
    """Makes a figure that needs no display; sides in inches."""
    return Figure(figsize=(width, height), layout="constrained")
