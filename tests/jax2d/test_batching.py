"""Functions of batches behind `vmap`: they are called once with everything, and have derivatives."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jax2d
from agents.benchmark.scenes import random_actions, random_scenes
from jax2d.batching import in_blocks, lowering_for, natively_batched, short_scan

SEEN: list[tuple] = []
ROWS = jnp.arange(24.0).reshape(2, 3, 4)


def weighted(rows, weights):
    """`rows [B, n]`, `weights` a dict of scalars, each `[]` or `[B]`."""
    SEEN.append((rows.shape, jnp.shape(weights["scale"])))
    return {"sum": weights["scale"] * rows.sum(axis=1) + weights["shift"], "first": rows[:, 0]}


@pytest.fixture
def one():
    SEEN.clear()
    return natively_batched(weighted, shared=(1,))


def test_without_vmap_it_is_a_batch_of_one(one):
    out = one(ROWS[0, 0], {"scale": 2.0, "shift": 1.0})
    assert SEEN == [((1, 4), ())]
    assert (out["sum"], out["first"]) == (13.0, 0.0)


def test_a_function_of_known_outputs_is_not_traced_for_one_example_under_vmap():
    SEEN.clear()
    number = jax.ShapeDtypeStruct((), jnp.float32)
    one = natively_batched(weighted, shared=(1,), outputs=lambda *_: {"sum": number, "first": number})
    weights = {"scale": 2.0, "shift": 1.0}
    out = jax.vmap(one, (0, None))(ROWS[0], weights)
    assert SEEN == [((3, 4), ())]
    np.testing.assert_allclose(out["sum"], 2 * ROWS[0].sum(axis=1) + 1)
    for call in (one, jax.jit(one)):
        alone = call(ROWS[0, 1], weights)
        np.testing.assert_allclose([alone["sum"], alone["first"]], [out["sum"][1], out["first"][1]])
    slope = jax.vmap(jax.grad(lambda row: one(row, weights)["sum"]))(ROWS[0])
    np.testing.assert_array_equal(slope, np.full((3, 4), 2.0))


def test_nested_vmap_is_one_flat_batch(one):
    weights = {"scale": jnp.array([1.0, 2.0]), "shift": 1.0}
    inner = jax.vmap(one, (0, None))
    out = jax.vmap(inner, (0, {"scale": 0, "shift": None}))(ROWS, weights)
    assert SEEN[-1] == ((6, 4), (6,))
    np.testing.assert_allclose(out["sum"], weights["scale"][:, None] * ROWS.sum(axis=2) + 1)
    np.testing.assert_array_equal(out["first"], ROWS[..., 0])


def test_arguments_that_are_not_mapped_over_are_repeated(one):
    scale = jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    by_scale = lambda row, scale: one(row, {"scale": scale, "shift": 0.0})["sum"]
    out = jax.vmap(jax.vmap(by_scale, (None, 0)), (0, 0))(ROWS[:, 0], scale)
    assert SEEN[-1] == ((6, 4), (6,))
    np.testing.assert_allclose(out, ROWS[:, 0].sum(axis=1)[:, None] * scale)


def test_shared_arguments_may_be_kept_without_batch_axis():
    SEEN.clear()
    one = natively_batched(weighted, shared=(1,), vmap_shared=True)
    scale = jnp.array([1.0, 2.0])
    out = jax.vmap(lambda row, scale: one(row, {"scale": scale, "shift": 0.0})["sum"])(ROWS[0, :2], scale)
    assert SEEN[-1] == ((1, 4), ())
    np.testing.assert_allclose(out, scale * ROWS[0, :2].sum(axis=1))


def test_derivatives_inside_and_outside_of_vmap():
    """d/dx of x^3 is 3 x^2, and of that 6 x; the derivative is that of the function named for it."""
    one = natively_batched(lambda x: jnp.round(x) ** 3, derivative_of=lambda x: x**3)
    x = jnp.array([1.0, 2.0])
    np.testing.assert_allclose(one(x[1]), 8)
    np.testing.assert_allclose(jax.vmap(jax.grad(one))(x), 3 * x**2)
    np.testing.assert_allclose(jax.grad(lambda x: jax.vmap(one)(x).sum())(x), 3 * x**2)
    np.testing.assert_allclose(jax.grad(jax.grad(one))(x[1]), 6 * x[1])


def test_integers_pass_through_derivatives():
    one = natively_batched(lambda x, index: {"value": x * index, "index": index + 1})

    def both(x):
        out = one(x, 3)
        return out["value"], out["index"]

    (value, index), slope = jax.value_and_grad(both, has_aux=True)(2.0)
    assert (value, index, slope) == (6.0, 4, 3.0)


@pytest.mark.parametrize(("batch", "axis"), [(100, 0), (97, -1), (32, 0)])
def test_blocks_are_put_together_again(batch, axis):
    """Blocks of about 40 examples are of 32 or 64; the last one overlaps the one before."""
    sizes = []

    def double(values, scale):
        sizes.append(values.shape[axis])
        return 2 * scale * values

    values = jnp.arange(3.0 * batch).reshape((batch, 3) if axis == 0 else (3, batch))
    out = jax.jit(lambda v: in_blocks(double, (v, 0.5), (True, False), 40, axis))(values)
    np.testing.assert_array_equal(out, values)
    assert jax.default_backend() != "cpu" or set(sizes) == {100: {64}, 97: {64}, 32: {32}}[batch]


def test_it_is_traced_once_for_given_shapes_on_each_platform(one):
    """A scan under `vmap` asks for it several times, and so do other programs; none of them shows a call."""
    run = lambda row: jax.lax.scan(
        lambda x, _: (x + one(row, {"scale": x, "shift": 0.0})["sum"], None), 0.0, length=2
    )
    program = jax.jit(jax.vmap(run)).lower(ROWS[0]).as_text()
    assert SEEN.count(((3, 4), (3,))) == 1 and SEEN.count(((1, 4), ())) == 1
    jax.make_jaxpr(lambda rows: jax.vmap(run)(2 * rows))(ROWS[0])
    assert len(SEEN) == len(set(SEEN))
    assert "while" in program and "traced" not in program
    with lowering_for("cuda"):
        jax.make_jaxpr(lambda rows: jax.vmap(run)(3 * rows))(ROWS[0])
    assert SEEN.count(((3, 4), (3,))) == 2


def test_short_loops_are_written_out_for_other_devices_than_a_cpu():
    run = lambda xs: short_scan(lambda total, x: (2 * total + x, total), 0.0, xs)
    program = jax.jit(lambda xs: run(xs)).lower(ROWS[0, 0])
    with lowering_for("cuda"):
        written_out = jax.jit(run).lower(ROWS[0, 0])
    if jax.default_backend() == "cpu":
        assert "while" in program.as_text()
    assert "while" not in written_out.as_text()
    total, before = written_out.compile()(ROWS[0, 0])
    assert total == 11 and before.tolist() == [0, 0, 1, 4]


@pytest.mark.slow
@pytest.mark.parametrize("order", ["parallel", "kinetix"])
def test_a_step_written_out_is_the_same(order):
    """A step as it is compiled for a GPU, on a CPU; pairs of polygons are one group, or two."""
    spec = jax2d.SimSpec({"parallel": 6, "kinetix": 9}[order], 2, 3, 1, contact_order=order)
    last = lambda tree: jax.tree.map(lambda v: jnp.moveaxis(jnp.asarray(v), 0, -1), tree)
    states, actions = last((random_scenes(0, 16, spec), random_actions(0, 1, 16, spec)[0]))
    step = lambda s: jax2d.step_batch(s, actions, jax2d.SimParams(), spec, batch_axis=-1)
    compiled = jax.jit(lambda s: step(s)).lower(states).compile()
    with lowering_for("cuda"):
        written_out = jax.jit(lambda s: step(s)).lower(states).compile()
    for _ in range(90):
        states, _ = compiled(states)
    expected, found = compiled(states), written_out(states)
    assert expected[1].pushing.sum() > 20
    for one, other in zip(*map(jax.tree.leaves, (expected, found)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
