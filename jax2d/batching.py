"""Functions of whole batches behind `vmap`: one batching rule, derivatives, and blocks for CPU caches."""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jax.interpreters import mlir

from jax2d.flat import ALWAYS

_PLATFORM: contextvars.ContextVar[str | None] = contextvars.ContextVar("platform", default=None)
SIMD_LANES = 32  # a block is a multiple of this, so that vector instructions leave no remainder
WRITTEN_OUT = 8  # most turns of a loop that are written out at once


@contextlib.contextmanager
def lowering_for(platform: str) -> Iterator[None]:
    """Traces programs for a platform that need not be the default one, such as `"cuda"` on a CPU alone."""
    token = _PLATFORM.set(platform)
    try:
        yield
    finally:
        _PLATFORM.reset(token)


def traced_platform() -> str:
    """Returns the kind of device of the program being traced: `"cpu"`, `"gpu"` or `"tpu"`."""
    name = _PLATFORM.get() or jax.default_backend()
    return "gpu" if name in ("cuda", "rocm") else name


def on_cpu() -> bool:
    """Tells whether the program being traced is one for a CPU."""
    return traced_platform() == "cpu"


def short_scan(fn: Callable, init: Any, xs: Any) -> tuple[Any, Any]:
    """Calls `jax.lax.scan` for a few turns, which are written out for other devices than a CPU.

    There every turn of a loop is a few kernels, which take longer to start than to run; turns that are
    written out become parts of larger ones.
    """
    turns = jax.tree.leaves(xs)[0].shape[0]
    return jax.lax.scan(fn, init, xs, unroll=1 if on_cpu() else min(turns, WRITTEN_OUT))


@functools.cache
def _deferred_call() -> Any:
    """A call whose function is traced when a program is lowered, and not at all if `vmap` replaces it."""
    from jax.extend.core import Primitive  # here, since it takes long to import

    call = Primitive("deferred_call")
    call.multiple_results = True
    call.def_abstract_eval(lambda *_, fn, outputs: [jax.core.ShapedArray(s.shape, s.dtype) for s in outputs])
    call.def_impl(lambda *args, fn, outputs: jax.jit(fn)(*args))
    mlir.register_lowering(call, mlir.lower_fun(lambda *args, fn, outputs: fn(*args), multiple_results=True))
    return call


def deferred(fn: Callable, results: Any) -> Callable:
    """A function that is traced when a program is lowered that calls it, and not at all in a branch for
    another platform.

    Args:
      fn: pure function of pytrees of arrays.
      results: pytree of the shapes and dtypes of its results.
    """
    shapes, structure = jax.tree.flatten(results)

    def call(*args):
        leaves, arguments = jax.tree.flatten(args)
        flat = lambda *leaves: jax.tree.leaves(fn(*jax.tree.unflatten(arguments, leaves)))
        bound = _deferred_call().bind(*map(jnp.asarray, leaves), fn=flat, outputs=tuple(shapes))
        return jax.tree.unflatten(structure, bound)

    return call


def natively_batched(
    fn: Callable,
    *,
    shared: Sequence[int] = (),
    vmap_shared: bool = False,
    block: float | None = None,
    derivative_of: Callable | None = None,
    outputs: Callable | None = None,
) -> Callable:
    """Turns a function of a batch into a function of one example.

        paint = natively_batched(paint_batch)  # paint_batch: float [B, 3] -> float [B, 8, 8]
        paint(color)                           # float [3] -> float [8, 8]
        jax.vmap(jax.vmap(paint))(colors)      # float [2, 5, 3]: one call of paint_batch with [10, 3]

    `jax.vmap` of the result, nested or not, calls `fn` once with all examples in one flat batch; a call
    without `vmap` is a batch of one. The result has derivatives of any order and mode, inside and outside of
    `vmap`: they are those of `derivative_of`, mapped by the ordinary `jax.vmap`. It is made once for a set of
    static arguments (`functools.cache`), since it keeps what it has built.

    Args:
      fn: pure function of positional pytrees whose arrays have a leading axis `[B]`, to a pytree of arrays
        that all have it.
      shared: positions of arguments that need no batch axis, such as parameters. A leaf of such an argument
        reaches `fn` without one unless it is mapped over; then it has shape `[B, ...]`.
      vmap_shared: when a shared leaf is mapped over, call `fn` through `jax.vmap` with batches of one example
        instead (slow), so that shared leaves never have a batch axis.
      block: number of examples whose arrays fit a CPU's cache. On a CPU, larger batches are processed one
        block of about that size after another. None: always as a whole.
      derivative_of: function to differentiate in place of `fn`, with the same values.
      outputs: function of an example's arguments to a pytree of its results' shapes and dtypes
        (`jax.ShapeDtypeStruct`), or to None if they are not known. If they are, `vmap` traces `fn` for the
        batch alone, and not for one example too.

    Returns:
      Function of the same arguments without batch axis; `shared` ones may be Python scalars.
    """
    smooth = fn if derivative_of is None else derivative_of

    # A scan under `vmap` asks for `fn` several times, and tracing it may take a second: `jit` traces it once
    # for given shapes. Inlined, it leaves the program as it would be without.
    @functools.partial(jax.jit, static_argnums=0, inline=True)
    def traced(platform, *args):
        with lowering_for(platform):
            return fn(*args)

    # The platform is an argument because JAX, too, keeps what it has traced of a function.
    @functools.cache
    def of_leaves(structure: Any, is_shared: tuple[bool, ...], platform: str) -> Callable:
        now = functools.partial(traced, platform)

        def apply(function, *leaves):
            return function(*jax.tree.unflatten(structure, leaves))

        def of_one(function, *leaves):
            batch = [
                v if common else jnp.asarray(v)[None] for v, common in zip(leaves, is_shared, strict=True)
            ]
            return jax.tree.map(lambda value: value[0], apply(function, *batch))

        @functools.cache
        def of_batch(has_axis: tuple[bool, ...]) -> Callable:
            """The function of a batch; `has_axis` tells which leaves have the batch axis."""

            @custom_vmap
            def many(*leaves):
                if vmap_shared and any(c and has for c, has in zip(is_shared, has_axis, strict=True)):
                    axes = [0 if has else None for has in has_axis]
                    return jax.vmap(functools.partial(of_one, now), in_axes=axes)(*leaves)
                return in_blocks(functools.partial(apply, now), leaves, has_axis, block)

            @many.def_vmap
            def _(size, batched, *leaves):
                flags = list(zip(has_axis, batched, strict=True))
                inner = next(
                    v.shape[int(outer)] for v, (has, outer) in zip(leaves, flags, strict=True) if has
                )
                flat = [_merge_axes(v, size, inner, *flag) for v, flag in zip(leaves, flags, strict=True)]
                out = of_batch(tuple(has or outer for has, outer in flags))(*flat)
                out = jax.tree.map(lambda v: v.reshape(size, inner, *v.shape[1:]), out)
                return out, jax.tree.map(lambda _: True, out)

            return many

        def flat_results(*leaves):
            return jax.tree.leaves(of_one(now, *leaves))

        @custom_vmap
        def one(*leaves):
            known = None if outputs is None else outputs(*jax.tree.unflatten(structure, leaves))
            if known is None:
                return of_one(now, *leaves)
            shapes, results = jax.tree.flatten(known)
            arrays = map(jnp.asarray, leaves)
            return jax.tree.unflatten(
                results, _deferred_call().bind(*arrays, fn=flat_results, outputs=tuple(shapes))
            )

        @one.def_vmap
        def _(size, batched, *leaves):
            has_axis = tuple(has or not common for has, common in zip(batched, is_shared, strict=True))
            widen = lambda v: jnp.broadcast_to(v, (size, *jnp.shape(v)))
            flags = zip(leaves, batched, has_axis, strict=True)
            out = of_batch(has_axis)(*(widen(v) if wants and not has else v for v, has, wants in flags))
            return out, jax.tree.map(lambda _: True, out)

        # A function with a batching rule of its own has no derivative in reverse mode.
        differentiable = jax.custom_jvp(one)
        differentiable.defjvp(
            lambda primals, tangents: jax.jvp(functools.partial(of_one, smooth), primals, tangents)
        )
        return differentiable

    @functools.wraps(fn)
    def call(*args):
        leaves, structure = jax.tree.flatten(args)
        is_shared = tuple(i in shared for i, arg in enumerate(args) for _ in jax.tree.leaves(arg))
        return of_leaves(structure, is_shared, traced_platform())(*leaves)

    return call


def _merge_axes(value: jax.Array, size: int, inner: int, has: bool, outer: bool) -> jax.Array:
    """Merges the axis `[size]` of an outer `vmap` into the batch axis `[inner]`; a value may lack either."""
    if not has and not outer:
        return value
    value = value if outer else value[None]
    value = value if has else value[:, None]
    rest = value.shape[2:]
    return jnp.broadcast_to(value, (size, inner, *rest)).reshape(size * inner, *rest)


def _block_size(batch: int, block: float | None) -> int:
    """Examples that are processed at once."""
    if block is None or not on_cpu():
        return batch
    blocks = max(round(batch / block), 1)
    return batch if blocks == 1 else min(-(-batch // blocks // SIMD_LANES) * SIMD_LANES, batch)


def in_blocks(fn: Callable, args: Any, has_axis: Any, block: float | None, axis: int = 0) -> Any:
    """Calls `fn(*args)`, on a CPU one block of the batch after another.

    Args:
      fn: function of batches along `axis`, to a pytree of arrays that have that axis.
      args: its arguments.
      has_axis: tree of bools like `args`, telling which leaves have the batch axis.
      block: number of examples whose arrays fit a CPU's cache; None for one block.
      axis: batch axis, 0 or -1.
    """
    arrays = zip(jax.tree.leaves(args), jax.tree.leaves(has_axis), strict=True)
    batch = next(value.shape[axis] for value, has in arrays if has)
    size = _block_size(batch, block)
    if size == batch:
        return fn(*args)

    def zeros(args):
        return jax.tree.map(lambda part: jnp.zeros(part.shape, part.dtype), jax.eval_shape(compute, args))

    def compute(args):
        return fn(*args)

    def one_block(index):
        """Index of the block's first example, and the block's result."""
        start = jnp.minimum(index * size, batch - size)  # the last block may overlap the one before
        cut = lambda value: jax.lax.dynamic_slice_in_dim(value, start, size, axis)
        part = jax.tree.map(lambda value, has: cut(value) if has else value, args, has_axis)
        # Always true, but not to the compiler: a branch gets the block as arrays of its own, where otherwise
        # every kernel that reads it would cut the batch anew.
        with jax.named_scope(ALWAYS):
            return start, jax.lax.cond(start >= 0, compute, zeros, part)

    def visit(index, filled):
        start, parts = one_block(index)
        put = functools.partial(jax.lax.dynamic_update_slice_in_dim, start_index=start, axis=axis)
        return jax.tree.map(put, filled, parts)

    def empty(part):
        shape = list(part.shape)
        shape[axis] = batch
        return jnp.empty(shape, part.dtype)

    filled = jax.tree.map(empty, jax.eval_shape(one_block, 0)[1])
    return jax.lax.fori_loop(0, -(-batch // size), visit, filled)
