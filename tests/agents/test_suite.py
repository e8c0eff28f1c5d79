"""All benchmarks in one call: they go on where they were, keep to their time, and end as one page."""

from __future__ import annotations

import json
import sys

import pytest

from agents.benchmark.page import page_text, write_page
from agents.benchmark.suite import OUT, Part, gpu_parts, run_part, run_suite, small_parts
from agents.cli.main import main

ENGINE = {
    "benchmark": "engine",
    "size": "l",
    "backend": "xla",
    "num_envs": 8192,
    "steps_per_second": 5000,
    "kernels_per_step": 40,
    "peak_memory_bytes": 2 * 10**9,
}


def test_parts_that_are_measured_are_not_measured_again(tmp_path):
    """The second part fails at first, the third has no time: a second call measures these two alone."""
    parts, ran, clock = [Part(name, ()) for name in "abc"], [], [True]

    def run(part, out, limit):
        ran.append((part.name, limit))
        return {"error": "broken"} if part.name == "b" and clock[0] else {"value": part.name}

    told = []
    first = run_suite(parts[:2], tmp_path, 100, run, told.append)
    assert first["a"]["value"] == "a" and first["b"] == {"error": "broken"} and len(told) == 2
    assert ran[0][1] <= 100 and ran[1][1] <= ran[0][1] and "b: broken" in told[1]
    assert run_suite(parts, tmp_path, 1, run, told.append)["c"]["error"].startswith("no time was left")
    clock[0] = False
    last = run_suite(parts, tmp_path, 100, run, told.append)
    assert [name for name, _ in ran] == ["a", "b", "b", "c"]
    assert {name: each["value"] for name, each in last.items()} == {name: name for name in "abc"}
    assert json.loads((tmp_path / "report.json").read_text()) == last


def test_a_part_is_a_command_whose_last_line_counts(tmp_path):
    say = lambda code: Part("a", (sys.executable, "-c", code, OUT))
    assert run_part(say("import sys; print('x'); print('{\"a\": 1}')"), tmp_path, 60) == {"a": 1}
    out = run_part(say("import sys, json; print(json.dumps({'out': sys.argv[1]}))"), tmp_path, 60)
    assert out == {"out": str(tmp_path)}
    assert run_part(say("raise ValueError('no memory')"), tmp_path, 60) == {"error": "ValueError: no memory"}
    slow = run_part(say("import time; time.sleep(60)"), tmp_path, 0.1)
    assert slow["error"].startswith("took longer")


def test_the_suite_of_a_gpu_has_all_that_is_asked_for():
    parts = gpu_parts("h100", "python")
    names = [part.name for part in parts]
    assert len(names) == len(set(names))
    counts = (2048, 8192, 32_768, 131_072)
    engine = {f"engine_{size}_{count}" for size in "sml" for count in counts}
    assert engine | {f"{name}_cuda" for name in engine} <= set(names)
    assert "cuda" in parts[names.index("engine_l_8192_cuda")].command
    assert {"upstream_s_2048", "train_preset_l", "train_cuda_l", "plan_preset_l", "learning"} <= set(names)
    assert {"generator_l_8192", "pixels_l_2048", "env_l_8192"} <= set(names)
    assert names.index("engine_l_2048") < names.index("upstream_l_2048")
    assert "--save-scenes" in parts[names.index("engine_l_2048")].command
    assert not [part for part in gpu_parts("", None) if part.name.startswith(("plan", "upstream"))]


def test_the_page_has_a_table_of_each_kind_and_tells_what_is_missing(tmp_path):
    results = {
        "engine_l_8192": ENGINE,
        "engine_l_8192_cuda": ENGINE | {"backend": "cuda", "steps_per_second": 9000, "kernels_per_step": 3},
        "upstream_l_8192": {"steps_per_second": 1000},
        "train_preset_l": {
            "benchmark": "train",
            "steps_per_second_of": {"environment": 30, "policy": 20, "learning": 10},
            "program_bytes": 10**9,
            "peak_memory_bytes": 3 * 10**9,
        },
        "plan_preset_l": {"model_steps_per_second": 12, "needed_bytes": 2 * 10**9},
        "env_s_8192": {"error": "out of memory"},
        "learning": {"rows": [{"env_steps": 1000, "seconds": 2.0, "solve_rate": 0.5}]},
    }
    text = page_text(results, "a GPU")
    assert "| l | xla | 8,192 | 5,000 | 1,000 | 5.0 | 40 | 2.00 |" in text
    assert "| l | cuda | 8,192 | 9,000 | 1,000 | 9.0 | 3 | 2.00 |" in text
    assert "| preset_l | 30 | 20 | 10 | 12 | 1.00 | 2.00 | 3.00 |" in text
    assert "- env_s_8192: out of memory" in text and "After 1,000 steps and 2 s, 0.50" in text
    assert write_page(results, tmp_path, "a GPU").read_text() == text
    assert (tmp_path / "report.png").stat().st_size > 5_000


def test_without_a_gpu_the_suite_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(SystemExit, match="nvidia-smi finds no GPU; --small"):
        main(["benchmark", "gpu", "--out", str(tmp_path)])


@pytest.mark.slow
def test_a_small_suite_runs_on_any_machine(tmp_path, capsys):
    main(["benchmark", "gpu", "--small", "--budget", "2000", "--out", str(tmp_path)])
    results = json.loads((tmp_path / "report.json").read_text())
    assert results.keys() == {part.name for part in small_parts()}
    assert not [each["error"] for each in results.values() if "error" in each]
    assert (tmp_path / "report.md").read_text().count("\n## ") == 3
    main(["benchmark", "gpu", "--small", "--budget", "2000", "--out", str(tmp_path)])
    assert "measured" not in capsys.readouterr().out.split("report.md")[1]
