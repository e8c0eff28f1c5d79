"""The CUDA kernel gives what the compiler's own kernels give; compiled as C++, it needs no GPU."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jax2d
from agents.benchmark.scenes import SIZES, random_actions, random_scenes
from jax2d.batching import lowering_for
from jax2d.cuda import compiler, kernel
from jax2d.cuda.sources import arguments_of, fields_of_state, kernel_source
from jax2d.pipeline import step_batch_last
from jax2d.types import DYNAMIC_FIELDS
from tests.jax2d.host_kernel import run_kernel
from tests.jax2d.test_sparse import SPEC, piles, to_last

BATCH = 32
PARAMS = jax2d.SimParams()
SPREAD = jax.tree.map(lambda value: value * np.linspace(0.8, 1.3, BATCH, dtype=np.float32), PARAMS)
# Polygons of 3 to 6 vertices and disks, without walls; and the same in threes, with walls, without joints.
ROUND = jax2d.SimSpec(4, 3, 2, 0, max_vertices=6, num_walls=0, solver_iterations=3, warm_start=False)
ANGULAR = jax2d.SimSpec(7, 0, 0, 3, max_vertices=5, num_walls=2, solver_iterations=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kernels")


@functools.partial(jax.jit, static_argnames="spec")
def dense(states, actions, params, spec):
    return step_batch_last(states, actions, params, spec)


def heap(spec, seed):
    """Polygons of all numbers of vertices, bodies that cannot move or turn, all modes, in one place."""
    states, rng = random_scenes(seed, BATCH, spec), np.random.default_rng(seed)
    vertices = np.zeros_like(states.vertices)
    count = rng.integers(3, spec.max_vertices + 1, states.num_vertices.shape).astype(np.int32)
    for place in np.ndindex(count.shape):
        size = count[place]
        angle = -2 * np.pi / size * (np.arange(size) + rng.uniform(0, 0.7, size))
        vertices[place][:size] = 0.3 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    shape = states.position.shape
    position = (2.5 + rng.uniform(-0.6, 0.6, shape)).astype(np.float32)
    movable = np.arange(spec.num_bodies) >= spec.num_walls
    inverse = rng.uniform(2, 9, (2, *shape[:2])) * (rng.random((2, *shape[:2])) < 0.8) * movable
    return dataclasses.replace(
        states,
        vertices=vertices,
        num_vertices=count,
        position=position,
        velocity=rng.normal(size=shape).astype(np.float32) * movable[:, None],
        inverse_mass=inverse[0].astype(np.float32),
        inverse_inertia=(30 * inverse[1]).astype(np.float32),
        restitution=rng.uniform(0, 0.6, shape[:2]).astype(np.float32),
        collision_mode=rng.integers(0, 3, shape[:2]).astype(np.int32),
    )


def assert_close(found, expected, name, loose=False):
    """Equal to rounding at the scale of all numbers, but for a few scenes whose contacts are on an edge."""
    assert found.shape == expected.shape and found.dtype == expected.dtype, name
    if found.dtype == bool:
        np.testing.assert_array_equal(found, expected, err_msg=name)
        return
    scale = max(1.0, np.abs(expected).max(initial=0))
    apart = np.abs(found - expected).reshape(-1, found.shape[-1]).max(axis=0, initial=0) / scale
    assert np.median(apart) < 2e-6, (name, np.sort(apart)[-5:])
    # The direction from a circle's center to an edge beside it is that of a tiny difference.
    assert np.sort(apart)[-2] < (2e-3 if loose else 3e-5), (name, np.sort(apart)[-5:])


def compare(states, actions, params, spec, folder):
    """One step both ways, with the batch last; returns the state after it, and its number of contacts."""
    after, contacts = jax.device_get(dense(states, actions, params, spec))
    found = run_kernel(states, actions, params, spec, folder)
    for name in DYNAMIC_FIELDS:
        if getattr(after, name).size:
            assert_close(found[name], getattr(after, name), name)
    found |= run_kernel(states, actions, params, spec, folder, report=True)
    for name in ("active", "pushing", "normal", "point", "penetration"):
        assert_close(found[name], getattr(contacts, name), name, loose=name == "normal")
    return after, int(contacts.pushing.sum())


def play(states, params, spec, folder, steps):
    """Compares each of some steps, from the states of the compiler's way."""
    pushing = 0
    for actions in np.moveaxis(random_actions(1, steps, BATCH, spec, hold=2), 1, 2):
        states, here = compare(states, actions, params, spec, folder)
        pushing += here
    return states, pushing


@pytest.mark.parametrize("order", ["parallel", pytest.param("kinetix", marks=pytest.mark.slow)])
def test_piles_are_alike_both_ways(order, folder):
    """Joints, motors, limits, thrusters, bodies at rest, unused slots, numbers by scene; warm starts."""
    spec = dataclasses.replace(SPEC, contact_order=order)
    states, pushing = play(to_last(piles()), SPREAD, spec, folder, 12)
    assert pushing > 100 * BATCH and states.contact_impulse.any() and states.joint_impulse.any()


@pytest.mark.parametrize("spec", [ROUND, pytest.param(ANGULAR, marks=pytest.mark.slow)])
def test_polygons_of_all_kinds_are_alike_both_ways(spec, folder):
    """Also cold starts, other numbers of sweeps, no walls, no joints."""
    assert play(to_last(heap(spec, 4)), PARAMS, spec, folder, 8)[1] > 10 * BATCH


@pytest.mark.slow
@pytest.mark.parametrize("order", ["parallel", "kinetix"])
@pytest.mark.parametrize("size", ["s", "m", "l"])
def test_crowded_rooms_are_alike_both_ways(size, order, folder):
    spec = dataclasses.replace(SIZES[size], contact_order=order)
    play(to_last(random_scenes(2, BATCH, spec)), PARAMS, spec, folder, 60)


def test_the_batch_may_be_the_first_axis(folder):
    """To the bit; a batch is no multiple of a block of threads."""
    states = jax.tree.map(lambda value: value[:19], piles())
    actions = random_actions(3, 1, 19, SPEC)[0]
    for report in (False, True):
        first = run_kernel(states, actions, PARAMS, SPEC, folder, axis=0, report=report)
        last = run_kernel(to_last(states), actions.T, PARAMS, SPEC, folder, report=report)
        for name, value in first.items():
            np.testing.assert_array_equal(np.moveaxis(value, 0, -1), last[name], err_msg=name)


def test_what_is_not_a_number_stays_so(folder):
    states = piles()
    states.velocity[5, SPEC.num_walls, 0] = np.nan
    found = run_kernel(to_last(states), np.zeros((SPEC.num_actions, BATCH)), PARAMS, SPEC, folder)
    finite = np.isfinite(found["position"]).all(axis=(0, 1))
    assert list(np.flatnonzero(~finite)) == [5]


def test_arguments_are_the_leaves_of_a_state():
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(piles())]
    plain = [name.lstrip(".").replace(".", "_") for name in names]
    assert [field.name for field in fields_of_state(SPEC)] == plain
    assert [a.name for a in arguments_of(SPEC)][: len(plain)] == plain
    assert all(argument.size for argument in arguments_of(ANGULAR))


def test_elsewhere_than_on_a_gpu_of_nvidia_nothing_changes():
    """Programs for a CPU are the same to the letter."""
    spec = jax2d.SimSpec(5, 0, 1, 0)
    states, actions = jax.tree.map(jnp.asarray, random_scenes(0, 2, spec)), jnp.zeros((2, 1))
    texts = []
    for backend in ("xla", "cuda"):
        chosen = dataclasses.replace(spec, backend=backend)
        step = jax.jit(jax.vmap(lambda s, a, chosen=chosen: jax2d.step(s, a, PARAMS, chosen)))
        texts.append(step.lower(states, actions).as_text())
    assert texts[0] == texts[1]


def lowered(monkeypatch, function, *arguments) -> str:
    """The program of a function for a GPU, with some text in place of the kernel's."""
    monkeypatch.setattr(kernel, "compile_ptx", lambda source: "kernel")
    with lowering_for("cuda"):
        traced = jax.jit(function).trace(*arguments)
        return traced.lower(lowering_platforms=("cuda",)).as_text()


SMALL = jax2d.SimSpec(5, 1, 1, 0, solver_iterations=1, backend="cuda")


def small_scenes(*shape):
    states = random_scenes(0, int(np.prod(shape)), SMALL)
    return jax.tree.map(lambda v: jnp.asarray(v.reshape(*shape, *v.shape[1:])), states), jnp.ones((*shape, 1))


def test_any_nesting_is_one_launch(monkeypatch):
    params = dataclasses.replace(PARAMS, dt=jnp.full(2, 0.01))
    step = lambda s, a, p: jax2d.step(s, a, p, SMALL)[0]
    inner = jax.vmap(step, in_axes=(0, 0, None))
    of_params = jax.tree.map(lambda value: 0 if jnp.ndim(value) else None, params)
    batch = lambda s, a, p: jax2d.step_batch(s, a, p, SMALL)[0]
    for function in (
        jax.vmap(inner, in_axes=(0, 0, of_params)),
        jax.vmap(batch, in_axes=(0, 0, of_params)),
    ):
        text = lowered(monkeypatch, function, *small_scenes(2, 3), params)
        # The second is the report of contacts, which XLA's compiler leaves out.
        launch, _ = (line for line in text.splitlines() if kernel.TARGET in line)
        assert "tensor<6x6x2xf32>" in launch and "tensor<17x6xf32>" in launch
    text = lowered(
        monkeypatch, lambda s, a: step(s, a, PARAMS), *jax.tree.map(lambda v: v[0], small_scenes(1))
    )
    assert text.count(kernel.TARGET) == 2


def test_derivatives_are_of_the_other_way(monkeypatch):
    states, actions = small_scenes(2)

    def distance(velocity, batch_last):
        start = dataclasses.replace(states, velocity=velocity)
        if batch_last:
            start = jax.tree.map(lambda v: jnp.moveaxis(v, 0, -1), start)
            return jax2d.step_batch(start, actions.T, PARAMS, SMALL, batch_axis=-1)[0].position.sum()
        return jax.vmap(lambda s, a: jax2d.step(s, a, PARAMS, SMALL)[0])(start, actions).position.sum()

    for batch_last in (False, True):
        slope = jax.grad(functools.partial(distance, batch_last=batch_last))
        assert kernel.TARGET not in lowered(monkeypatch, slope, states.velocity)


def test_other_precision_goes_the_other_way(monkeypatch):
    states, actions = small_scenes(2)
    half = dataclasses.replace(states, friction=states.friction.astype(jnp.float16))
    step = jax.vmap(lambda s, a: jax2d.step(s, a, PARAMS, SMALL)[0])
    assert kernel.TARGET not in lowered(monkeypatch, step, half, actions)


def test_backends_have_names():
    with pytest.raises(ValueError, match=r"SimSpec.backend must be one of \('xla', 'cuda'\), got 'gpu'"):
        jax2d.SimSpec(5, 0, 0, 0, backend="gpu")


def test_scenes_that_do_not_fit_a_thread_are_refused():
    spec = jax2d.SimSpec(40, 0, 0, 0, backend="cuda")
    shapes = jax2d.SimState.shapes(spec)
    step = lambda state: jax2d.step(state, jnp.zeros(0), PARAMS, spec)
    with (
        lowering_for("cuda"),
        pytest.raises(ValueError, match="1024 contact slots, this one has 40 and 1548"),
    ):
        jax.jit(jax.vmap(step)).lower(
            jax.tree.map(lambda s: jax.ShapeDtypeStruct((4, *s.shape), s.dtype), shapes)
        )


def test_a_missing_compiler_is_named(monkeypatch):
    monkeypatch.setattr(compiler, "_libraries", lambda: iter(["/nowhere/libnvrtc.so.13"]))
    compiler._nvrtc.cache_clear()
    with pytest.raises(compiler.KernelError, match="pip install nvidia-cuda-nvrtc"):
        compiler.compile_ptx("// nothing")
    compiler._nvrtc.cache_clear()


def needs_nvrtc():
    try:
        compiler._nvrtc()
    except compiler.KernelError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("report", [False, True])
def test_nvrtc_makes_ptx_for_older_drivers(report):
    needs_nvrtc()
    ptx = compiler.compile_ptx(kernel_source(SIZES["s"], report=report))
    assert f".version {compiler.PTX_VERSION}\n" in ptx and ".entry jax2d_kernel" in ptx
    assert "used_bytes_mask" not in ptx


@pytest.mark.slow
@pytest.mark.parametrize("reads", ["active", "all"])
def test_a_rollout_is_one_launch_a_step_and_copies_nothing(reads):
    """In a program for a GPU that need not exist."""
    from agents.plan.targets import TargetError, find_target

    needs_nvrtc()
    try:
        target = find_target("h100")
    except TargetError as error:
        pytest.skip(str(error))
    spec = dataclasses.replace(SIZES["s"], backend="cuda")
    place = jax.sharding.SingleDeviceSharding(target.device)
    wide = lambda s: jax.ShapeDtypeStruct((64, *s.shape), s.dtype, sharding=place)
    states = jax.tree.map(wide, jax2d.SimState.shapes(spec))

    def rollout(states, actions):
        def advance(states, _):
            after, contacts = jax.vmap(lambda s, a: jax2d.step(s, a, PARAMS, spec))(states, actions)
            return after, contacts.active if reads == "active" else contacts

        return jax.lax.scan(advance, states, length=8)

    actions = wide(jax.ShapeDtypeStruct((spec.num_actions,), jnp.float32))
    with lowering_for("cuda"):
        lowered = (
            jax.jit(rollout, donate_argnums=0).trace(states, actions).lower(lowering_platforms=("cuda",))
        )
    text = lowered.compile(compiler_options=target.options).as_text()
    launches = [line for line in text.splitlines() if "custom-call(" in line and "gpu.ptx" in line]
    assert len(launches) == (1 if reads == "active" else 2)
    assert sum("output_to_operand_aliasing" in line for line in launches) == 1
