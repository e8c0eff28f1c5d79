"""The model of compiled programs: HLO text that was written by hand, and a tiny program worked by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from agents.plan.hlo import parse_module, shape_bytes
from agents.plan.model import OTHER, Rates, part_of, plan_time

RATES = Rates(bandwidth=1e9, launch=1e-6, latency=0.5e-6)
LOOP = """HloModule m, entry_computation_layout={(f32[4]{0})->f32[4]{0}}

%fused (a: f32[8,4], i: s32[]) -> f32[8,4] {
  %a = f32[8,4]{1,0} parameter(0)
  %i = s32[] parameter(1)
  %z = s32[] constant(0)
  %row = f32[1,4]{1,0} dynamic-slice(%a, %i, %z), dynamic_slice_sizes={1,4}
  %new = f32[1,4]{1,0} negate(%row)
  ROOT %u = f32[8,4]{1,0} dynamic-update-slice(%a, %new, %i, %z)
}

%body (p: (s32[], f32[8,4])) -> (s32[], f32[8,4]) {
  %p = (s32[], f32[8,4]{1,0}) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  %x = f32[8,4]{1,0} get-tuple-element(%p), index=1
  %f = f32[8,4]{1,0} fusion(%x, %i), kind=kLoop, calls=%fused, metadata={op_name="g/learn/neg"}
  ROOT %t = (s32[], /*index=1*/f32[8,4]{1,0}) tuple(%i, %f)
}

%one (q: f32[1000]) -> f32[1000] {
  %q = f32[1000]{0} parameter(0)
  ROOT %n = f32[1000]{0} negate(%q)
}

%none (r: f32[1000]) -> f32[1000] {
  ROOT %r = f32[1000]{0} parameter(0)
}

ENTRY %main (x: f32[8,4], k: f32[1000], b: pred[]) -> f32[1000] {
  %x = f32[8,4]{1,0:T(8,128)S(1)} parameter(0)
  %k = f32[1000]{0} parameter(1)
  %b = pred[] parameter(2)
  %zero = s32[] constant(0)
  %s = (s32[], f32[8,4]{1,0:T(8,128)}) tuple(%zero, %x)
  %w = (s32[], f32[8,4]{1,0:T(8,128)}) while(%s), condition=%c, body=%bodyTRIPS
  ROOT %y = f32[1000]{0} conditional(%b, %k, %k)BRANCHES
}
"""
BRANCHES = ', branch_computations={%one, %none}, metadata={op_name="g/play/cond"}'
TRIPS = ', backend_config={"known_trip_count":{"n":"5"}}'


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ("f32[]", 4),
        ("pred[3,5]{1,0}", 15),
        ("bf16[0,7]", 0),
        ("(s64[2]{0}, (u64[3], c128[1]), token[])", 16 + 24 + 16),
        ("f32[16,128]{1,0:T(8,128)(2,1)S(1)}", 8192),
        ("s4[10]", 10),
        ("f32[<=6,2]", 48),
    ],
)
def test_bytes_of_shapes(shape, size):
    assert shape_bytes(shape) == size


def test_unknown_element_types_are_refused():
    with pytest.raises(ValueError, match=r"unknown element type 'f24' in the shape 'f24\[2\]'"):
        shape_bytes("f24[2]")


def test_the_parser_reads_loops_tuples_layouts_and_calls():
    module = parse_module(LOOP.replace("TRIPS", TRIPS).replace("BRANCHES", BRANCHES))
    assert module.entry == "main" and set(module.computations) == {"fused", "body", "one", "none", "main"}
    lines = {line.name: line for line in module.computations["main"]}
    assert lines["w"].trip_count == 5 and lines["w"].called == {"condition": ("c",), "body": ("body",)}
    assert lines["w"].shape == "(s32[], f32[8,4]{1,0:T(8,128)})"
    assert lines["y"].operands == ("b", "k", "k") and lines["y"].root and not lines["w"].root
    assert module.computations["body"][-1].shape == "(s32[], f32[8,4]{1,0})"
    with pytest.raises(ValueError, match="no ENTRY computation"):
        parse_module("HloModule m\n")


def test_slices_and_updates_in_place_move_their_rows_alone():
    plan = plan_time(
        parse_module(LOOP.replace("TRIPS", TRIPS).replace("BRANCHES", BRANCHES)),
        RATES,
        (("learn",), ("play",)),
    )
    row, index = 16, 4
    assert plan.parts["learn"].kernels == 5
    assert plan.parts["learn"].moved == 5 * (row + row + index)  # read, written, and where
    assert plan.parts["learn"].seconds == pytest.approx(5 * 1e-6)  # no more than a launch each
    assert OTHER not in plan.parts and plan.unknown_loops == 0


def test_conditionals_count_their_least_branch_and_tell_what_the_most_adds():
    cost = plan_time(
        parse_module(LOOP.replace("TRIPS", TRIPS).replace("BRANCHES", BRANCHES)), RATES, (("play",),)
    ).parts["play"]
    assert (cost.kernels, cost.moved, cost.seconds) == (0, 0, 0)
    assert cost.conditional == pytest.approx(8000 / 1e9 + 0.5e-6)


def test_loops_of_unknown_length_count_once_and_are_told():
    text = LOOP.replace("TRIPS", "").replace("BRANCHES", BRANCHES)
    plan = plan_time(parse_module(text), RATES)
    assert plan.unknown_loops == 1 and plan.total.kernels == 1 and plan.total.moved == 36


def test_loops_of_unknown_length_are_told_in_every_branch():
    """The refresh of a curriculum is a branch that does not count, with a loop of its own."""
    text = LOOP.replace("TRIPS", TRIPS).replace("BRANCHES", BRANCHES)
    loop = "%v = f32[1000]{0} while(%q), condition=%c, body=%none\n  ROOT %n"
    assert plan_time(parse_module(text.replace("ROOT %n", loop)), RATES).unknown_loops == 1


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("jit(f)/while/body/play/network/dot_general", "play / network"),
        ("jit(f)/play/add", "play"),
        ("jit(f)/learn/transpose(jvp(play))/mul", "learn"),
        ("jit(f)/transpose(learn)/mul", "learn"),
        ("jit(f)/network/play/mul", "play"),
        ("jit(replay)/add", None),
    ],
)
def test_parts_are_found_by_scopes(path, part):
    assert part_of(path, (("play", "network"), ("learn",), ("play",))) == part


def test_a_compiled_program_moves_what_is_worked_out_by_hand():
    """A hundred sums with the rows of a table: each reads a row and the state, and writes the state."""

    def total(start, table):
        with jax.named_scope("learn"):
            return jax.lax.scan(lambda x, row: (jnp.sin(x) + row, None), start, table)[0]

    shapes = jax.ShapeDtypeStruct((64,), jnp.float32), jax.ShapeDtypeStruct((100, 64), jnp.float32)
    text = jax.jit(total).lower(*shapes).compile().as_text()
    plan = plan_time(parse_module(text), RATES, (("learn",),))
    least = 100 * 3 * 64 * 4
    assert plan.unknown_loops == 0
    # Beside them there is the counter of the loop, and copies of the state at its ends.
    assert least <= plan.total.moved < 1.2 * least + 5 * 64 * 4
