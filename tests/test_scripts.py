"""The scripts, run as a user runs them."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

from agents.benchmark.kernels import count_kernels, kernels_per_step

ROOT = pathlib.Path(__file__).resolve().parent.parent

MODULE = """HloModule m

%body (p: (s32[], f32[4])) -> (s32[], f32[4]) {
  %p = (s32[], f32[4]{0}) parameter(0)
  %a = f32[4]{0} get-tuple-element(%p), index=1
  %b = f32[4]{0} fusion(%a), kind=kLoop, calls=%f
  %c = f32[4]{0} copy(%b)
  ROOT %t = (s32[], f32[4]{0}) tuple(%a, %c)
}

ENTRY %main (x: f32[4]) -> f32[4] {
  %x = f32[4]{0} parameter(0)
  %w = (s32[], f32[4]{0}) while(%x), condition=%q, body=%body, backend_config={"known_trip_count":{"n":"5"}}
  ROOT %y = f32[4]{0} fusion(%w), kind=kLoop, calls=%g
}
"""


def run(*arguments):
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_kernels_are_counted_with_loops_multiplied_out():
    assert count_kernels(MODULE) == 5 * 2 + 1
    assert kernels_per_step(MODULE, 5) == 2


def test_the_benchmark_prints_one_json_line():
    out = run(
        "scripts/benchmark.py", "engine", "--size", "s", "--num-envs", "4", "--steps", "3", "--seed", "1"
    )
    assert out.returncode == 0, out.stderr
    lines = out.stdout.strip().splitlines()
    assert len(lines) == 1
    report = json.loads(lines[0])
    assert report["finite"] is True
    assert report["steps_per_second"] > 0
    assert report["kernels_per_step"] > 10
    assert {"device", "jax", "trace_seconds", "compile_seconds", "peak_memory_bytes"} <= report.keys()


@pytest.mark.slow
def test_the_environment_benchmark_compares_with_the_physics_inside():
    out = run("scripts/benchmark.py", "env", "--size", "s", "--num-envs", "4", "--steps", "3")
    assert out.returncode == 0, out.stderr
    report = json.loads(out.stdout)
    assert report["finite"] is True and report["observation"] == "entity"
    assert report["cost_over_physics"] > 0 and report["state_bytes_per_env"] < 8192


def test_the_benchmark_of_pictures_needs_little_more_memory_than_they_do():
    out = run(
        "scripts/benchmark.py", "pixels", "--size", "s", "--num-envs", "8", "--steps", "3", "--pixels", "50"
    )
    assert out.returncode == 0, out.stderr
    report = json.loads(out.stdout)
    assert report["finite"] is True and report["frames_bytes"] == 8 * 50 * 50 * 3 * 4
    assert report["frames_per_second"] > 0 and report["frames_per_second_one_a_call"] > 0
    assert 1 <= report["memory_over_frames"] < 1.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-envs", "0"], "must be at least 1, got 0"),
        (["--num-envs", "3"], "--num-envs 3 is not a multiple of --devices 2"),
        (["--num-envs", "4", "--size", "xl"], "invalid choice: 'xl'"),
    ],
)
def test_the_benchmark_refuses_what_it_cannot_do(arguments, message):
    size = [] if "--size" in arguments else ["--size", "s"]
    out = run("scripts/benchmark.py", "engine", *size, *arguments)
    assert out.returncode == 2
    assert message in out.stderr


def test_the_example_drives_over_the_ramp():
    out = run("examples/car_over_ramp.py")
    assert out.returncode == 0, out.stderr
    assert "throttle 1.0: from x = 1.00 m to x = 4." in out.stdout
    assert len((ROOT / "examples" / "car_over_ramp.py").read_text().splitlines()) < 40
