"""The model of compiled programs: HLO text that was written by hand, and a tiny program worked by hand."""

from __future__ import annotations

import dataclasses
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from agents.cli.main import main
from agents.cli.plan import table
from agents.config import TrainConfig
from agents.plan.fit import FitError, MemoryBound, fit_table, with_few_envs
from agents.plan.hlo import Instruction, parse_module, shape_bytes, tuple_shapes
from agents.plan.model import OTHER, Rates, count_kernels, moved_bytes, part_of, plan_time, short_path
from agents.plan.targets import GPUS, KNOWN
from jax2d.flat import ALWAYS

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

%c (p.1: (s32[], f32[8,4])) -> pred[] {
  %p.1 = (s32[], f32[8,4]{1,0}) parameter(0)
  %i.1 = s32[] get-tuple-element(%p.1), index=0
  %n.1 = s32[] constant(7)
  ROOT %less = pred[] compare(%i.1, %n.1), direction=LT
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


def test_shapes_outside_of_the_main_memory():
    shape = "(f32[2,8]{1,0:T(8,128)S(1)}, s32[]{:T(128)}, (u32[3]{0:S(2)}))"
    assert shape_bytes(shape) == 64 + 4 + 12 and shape_bytes(shape, main_memory=True) == 4
    assert tuple_shapes(shape) == ("f32[2,8]{1,0:T(8,128)S(1)}", "s32[]{:T(128)}", "(u32[3]{0:S(2)})")
    assert tuple_shapes("f32[2,8]{1,0}") == ("f32[2,8]{1,0}",)


def test_kernels_are_counted_with_loops_multiplied_out():
    """One in each of 5 iterations; of a conditional the cheaper branch, if it is not always true."""
    text = LOOP.replace("TRIPS", TRIPS).replace("BRANCHES", BRANCHES)
    assert count_kernels(text) == 5
    assert count_kernels(text.replace("g/play/cond", f"g/play/{ALWAYS}/cond")) == 5 + 1
    assert count_kernels(text.replace("g/play/cond", f"g/{ALWAYS}/cond/branch_1_fun/cond")) == 5


def test_a_slice_that_is_fetched_ahead_moves_what_it_holds():
    """8 kB of 40 kB are read, and written only where they stay in the main memory."""
    shape = "((f32[10000]{0}), f32[2000]{0:S(1)}, s32[]{:T(128)})"
    line = Instruction("s", "slice-start", shape, ("x",), {}, None, None, "", "", False)
    module = parse_module(LOOP.replace("TRIPS", TRIPS).replace("BRANCHES", BRANCHES))
    assert moved_bytes(line, {"x": "f32[10000]{0}"}, module) == 8000
    line = dataclasses.replace(line, shape=shape.replace("{0:S(1)}", "{0}"))
    assert moved_bytes(line, {"x": "f32[10000]{0}"}, module) == 16000


def test_unknown_element_types_are_refused():
    with pytest.raises(ValueError, match=r"unknown element type 'f24' in the shape 'f24\[2\]'"):
        shape_bytes("f24[2]")


def test_the_parser_reads_loops_tuples_layouts_and_calls():
    module = parse_module(LOOP.replace("TRIPS", TRIPS).replace("BRANCHES", BRANCHES))
    assert module.entry == "main"
    assert set(module.computations) == {"fused", "body", "c", "one", "none", "main"}
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


COUNTED = """HloModule m

%body (p: (s32[], s32[], f32[50])) -> (s32[], s32[], f32[50]) {
  %p = (s32[]{:T(128)}, s32[]{:T(128)}, f32[50]{0}) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  %copied = s32[] copy(%i)
  %step = s32[] get-tuple-element(%p), index=1
  %next = s32[] add(%copied, %step)
  %x = f32[50]{0} get-tuple-element(%p), index=2
  %y = f32[50]{0} negate(%x)
  ROOT %t = (s32[], s32[], f32[50]{0}) tuple(%next, %step, %y)
}

%c (q: (s32[], s32[], f32[50])) -> pred[] {
  %q = (s32[], s32[], f32[50]{0}) parameter(0)
  %j = s32[] get-tuple-element(%q), index=0
  %bound = s32[] constant(20)
  ROOT %less = pred[] compare(%j, %bound), direction=LT
}

ENTRY %main (z: f32[50]) -> f32[50] {
  %z = f32[50]{0} parameter(0)
  %begin = s32[] constant(2)
  %start = s32[] copy(%begin)
  %three = s32[] constant(3)
  %s = (s32[], s32[], f32[50]{0}) tuple(%start, %three, %z)
  %w = (s32[], s32[], f32[50]{0}) while(%s), condition=%c, body=%body
  ROOT %r = f32[50]{0} get-tuple-element(%w), index=2
}
"""


@pytest.mark.parametrize(
    ("change", "trips"),
    [
        ((), 6),  # 2, 5, 8, 11, 14, 17
        (("constant(20)", "constant(21)"), 7),
        (("constant(20)", "constant(1)"), 0),
        (("direction=LT", "direction=NE"), None),
        (("tuple(%next, %step", "tuple(%next, %next"), None),  # the step changes
        (("add(", "multiply("), None),
        (("copy(%begin)", "custom-call(%z)"), None),  # the counter begins anywhere
    ],
)
def test_iterations_are_those_of_a_counter_below_a_constant(change, trips):
    """As in programs for TPUs: the counter is copied, and the loop carries its step along."""
    text = COUNTED.replace(*change) if change else COUNTED
    plan = plan_time(parse_module(text), RATES)
    assert plan.unknown_loops == (trips is None)
    counted = sum(cost.kernels for (_, path), cost in plan.operations.items() if path == "negate")
    assert counted == (1 if trips is None else trips)


def test_memory_on_chip_and_scratch_memory_move_nothing():
    text = """HloModule m

%fused (a: f32[100], b: f32[10]) -> (f32[100], f32[10]) {
  %a = f32[100]{0} parameter(0)
  %b = f32[10]{0} parameter(1)
  %u = f32[100]{0} negate(%a)
  %v = f32[10]{0} negate(%b)
  ROOT %t = (f32[100]{0}, f32[10]{0}) tuple(%u, %v)
}

ENTRY %main (x: f32[100], y: f32[10]) -> f32[100] {
  %x = f32[100]{0} parameter(0)
  %y = f32[10]{0} parameter(1)
  %s = (f32[100]{0:S(1)}, f32[100]{0}, u32[]{:S(2)}) copy-start(%x)
  %d = f32[100]{0:S(1)} copy-done(%s)
  %f = (f32[100]{0:S(1)}, f32[10]{0}) fusion(%d, %y), kind=kLoop, calls=%fused
  %g = f32[100]{0:S(1)} get-tuple-element(%f), index=0
  ROOT %z = (f32[100]{0}, s8[4194304]{0}) custom-call(%g, %y), custom_call_target="gemm"
}
"""
    operations = plan_time(parse_module(text), RATES).operations
    moved = {path: cost.moved for (_, path), cost in operations.items()}
    assert moved == {"copy-start": 400, "fusion": 80, "custom-call": 400 + 40}


@pytest.mark.parametrize(
    ("path", "short"),
    [
        ("jit(f)/learn/while/body/closed_call/transpose(jvp(Net))/Gate_1/mul", "Net/Gate_1/mul'"),
        ("jit(f)/learn/while/body/closed_call/jvp(Net)/transpose", "f/Net/transpose"),
        ("jit(f)/learn/while/body/Gate_0/update/update/dot_general", "Gate_0/update/dot_general"),
        ("", ""),
    ],
)
def test_paths_are_shortened_and_gradients_marked(path, short):
    assert short_path(path, "learn") == short


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


def refused(capsys, *arguments):
    """Message of the command, which refuses its arguments."""
    with pytest.raises(SystemExit) as stopped:
        main(["plan", *arguments])
    return f"{stopped.value}{capsys.readouterr().err}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["target=h1000"], f"there is no target 'h1000'; known: {', '.join(KNOWN)}"),
        (["target=v3:2x2"], "there is no target 'v3:2x2'; known: a100, "),
        ([], "name a target, such as target=h100; known: a100, "),
        (["part=generator", "target=cpu"], "there is no part 'generator'; known: train, engine, fit"),
        (["steps=3", "target=cpu"], "steps=3 is of part=engine"),
        (["part=engine", "steps=0", "target=cpu"], "steps must be an integer of at least 1, got '0'"),
        (["target=cpu", "size=xl"], "xl"),
        (["target=cpu", "ppo.minibatch_size=7"], "must divide"),
    ],
)
def test_what_cannot_be_planned_is_told(arguments, message, capsys):
    assert message in refused(capsys, *arguments)


@pytest.mark.parametrize(("target", "package"), [("h100", "jax[cuda13]"), ("v5e:2x2", "jax[tpu]")])
def test_a_missing_plugin_is_named(target, package, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert f"though no device: pip install '{package}'" in refused(capsys, f"target={target}")


def test_environments_that_fit_by_hand():
    """1,024 need 2 GB and 3,072 need 4 GB: so 2,048 at most 3 GB, and 8,192 at most 4 GB * 8 / 3."""
    bound = MemoryBound((1024, 2 * 10**9), (3072, 4 * 10**9))
    assert bound.each == 10**9 / 1024
    assert bound.needed(2048) == 3e9 and bound.needed(6144) == 8e9 and bound.needed(512) == 2e9
    assert bound.largest(1.9e9) == 0 and bound.largest(2.9e9) == 1024
    assert bound.largest(3e9) == 2048 and bound.largest(3e9 - 1) == 1024  # to the last byte
    assert bound.largest(4e9 * 8 / 3) == 8192 and bound.largest(10.6e9) == 4096
    with pytest.raises(FitError, match="memory does not grow"):
        MemoryBound((1000, 5), (2000, 5))


def test_more_environments_than_fit_are_never_promised():
    """Memory as the most of three moments, each of fixed bytes and bytes an environment."""
    needed = lambda count: max(6e9 + 1e5 * count, 3e9 + 2e5 * count, 2.3e5 * count)
    bound = MemoryBound((4096, int(needed(4096))), (131_072, int(needed(131_072))))
    for memory in np.geomspace(7e9, 2e11, 50):
        found = bound.largest(memory)
        assert needed(found) <= memory and needed(8 * max(found, 4096)) > memory


def test_few_environments_are_a_32nd_or_what_a_minibatch_needs():
    config = TrainConfig.preset("gpu", "training.num_envs=131072", "training.num_devices=1")
    assert with_few_envs(config).training.num_envs == 4096
    fewer = TrainConfig.preset("gpu", "training.num_envs=2048", "training.num_devices=1")
    assert with_few_envs(fewer).training.num_envs == 512  # x 64 steps: one minibatch of 32,768


def test_the_table_of_what_fits():
    report = {"size": "l", "target": "h100", "num_envs": (4096, 131_072), "needed_bytes": (10**9, 2 * 10**10)}
    lines = fit_table(report | {"fits": {"8": 16_384, "80": 262_144}}).splitlines()
    assert lines[0] == (
        "training, size l, on h100: 4,096 environments need 1.00 GB, 131,072 environments need 20.00 GB"
    )
    assert [line.split() for line in lines[3:]] == [["8", "16,384"], ["80", "262,144"]]


def test_a_number_of_environments_that_cannot_be_halved_is_told(capsys):
    words = ("part=fit", "target=cpu", "training.num_envs=32", "ppo.minibatch_size=2048")
    words += ("training.num_devices=1", "training.rollout_length=64")
    assert "half of the 32 environments: " in refused(capsys, *words)


def test_descriptions_of_gpus_are_in_the_words_of_xla():
    text = GPUS["h100"].textproto()
    assert "core_count: 132" in text and "memory_bandwidth: 3350000000000" in text
    assert "shared_memory_per_core: 233472" in text and "shared_memory_per_block_optin: 232448" in text
    assert "cuda_compute_capability { major: 9 minor: 0 }" in text


def test_the_table_tells_parts_by_time_whether_it_fits_and_the_longest_operations():
    cost = lambda **own: {"kernels": 2, "moved": 4000, "seconds": 1e-3, "conditional": 0.0} | own
    report = {
        "part": "train",
        "size": "s",
        "target": "h100",
        "steps": 2,
        "devices": 4,
        "compile_seconds": 1.0,
    }
    report |= dict.fromkeys(("argument_bytes", "temporary_bytes", "result_bytes"), 10**9)
    report |= {"needed_bytes": 3 * 10**9, "target_bytes": 2 * 10**9, "fits": False}
    report |= {"parts": {"play": cost(), "learn": cost(seconds=5e-3, conditional=7e-3)}}
    report |= {"operations": [cost(part="learn", operation="dot'"), cost(part="play", operation="add")]}
    report |= {"rates": {"launch": 2.5e-6, "bandwidth": 3.35e12, "latency": 1e-6}}
    report |= {"model_steps_per_second": 1234, "loops_of_unknown_length": 3}
    lines = table(report, top=1).splitlines()
    assert lines[0] == "train, size s, on h100: 2 steps, the share of one of 4 devices"
    assert lines[2].startswith("memory    3.000 GB of 2.0 GB: does not fit (arguments 1.000, ")
    assert [line.split() for line in lines[5:7]] == [
        ["learn", "2", "2.00", "5.00", "up", "to", "+7.0"],
        ["play", "2", "2.00", "1.00"],
    ]
    assert lines[8].startswith("1,234 steps/s by the model max(2.5 us, bytes / 3.35 TB/s + 1 us)")
    assert lines[-2].split() == ["2", "2.00", "1.00", "learn:", "dot'"]
    assert lines[-1] == "loops of unknown length, counted once: 3"
