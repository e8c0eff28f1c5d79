"""The command `kinetix`, its starters in `scripts/`, and the example: one path through each."""

from __future__ import annotations

import contextlib
import json
import pathlib
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

import jax2d
import kinetix_py as kx
from agents.cli.main import COMMANDS, main

ROOT = pathlib.Path(__file__).resolve().parent.parent
STARTERS = {
    "benchmark": "benchmark",
    "compare_runs": "compare",
    "evaluate": "evaluate",
    "play": "play",
    "solve_level": "solve",
    "train": "train",
}


def run(*arguments):
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def said(capsys, *arguments):
    """The standard output of a command that ends well."""
    capsys.readouterr()
    main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def refused(capsys, *arguments):
    """The message of a command that fails."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code not in (None, 0)
    return f"{stopped.value}\n{capsys.readouterr().err}"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Undoes what commands set for later tests."""
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")


@pytest.mark.parametrize("words", [(), ("--help",)])
def test_the_command_lists_its_subcommands(words, capsys):
    with pytest.raises(SystemExit) if words else contextlib.nullcontext():
        main(words)
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in COMMANDS)


def test_help_imports_nothing_heavy():
    code = "import sys, agents.cli.main; agents.cli.main.main([]); print({'jax', 'numpy'} & set(sys.modules))"
    out = run("-c", code)
    assert out.stdout.splitlines()[-1] == "set()", out.stderr


@pytest.mark.parametrize(
    "name",
    ["evaluate", "compare", "reproduce", "record", "play", "edit", "solve", "levels", "plan", "benchmark"],
)
def test_every_subcommand_explains_itself_with_examples(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    text = capsys.readouterr().out
    assert stopped.value.code == 0
    assert text.startswith(f"usage: kinetix {name}") and f"\n  kinetix {name} " in text
    assert max(map(len, text.splitlines())) <= 100


def test_training_explains_itself_with_the_groups_of_its_config(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--help"])
    assert stopped.value.code in (None, 0) and "hardware: cpu, gpu" in capsys.readouterr().out


def test_an_unknown_subcommand_is_refused(capsys):
    assert "invalid choice: 'learn' (choose from" in refused(capsys, "learn")


def test_a_missing_compiler_of_kernels_is_one_line(monkeypatch):
    """Other errors of its kind are passed on."""

    def fail(arguments):
        raise jax2d.KernelError("no NVRTC") if arguments else RuntimeError("a defect")

    monkeypatch.setattr("agents.cli.levels.main", fail)
    with pytest.raises(SystemExit, match=r"^kinetix levels: no NVRTC$"):
        main(["levels", "list"])
    with pytest.raises(RuntimeError, match="a defect"):
        main(["levels"])


@pytest.mark.parametrize("script", STARTERS)
def test_scripts_start_the_subcommands(script):
    lines = (ROOT / "scripts" / f"{script}.py").read_text().splitlines()
    assert f'    main(["{STARTERS[script]}", *sys.argv[1:]])' in lines and len(lines) <= 10
    assert {path.stem for path in (ROOT / "scripts").glob("*.py")} == STARTERS.keys()


def test_levels_are_listed_by_set(capsys):
    everything, small = (
        said(capsys, "levels", "list").split(),
        said(capsys, "levels", "list", "library/s").split(),
    )
    assert "swing_up" in small and set(small) < set(everything) and len(everything) > 100
    sets = dict(line.split()[:2] for line in said(capsys, "levels", "list", "--sets").splitlines())
    assert sets["library/s"] == str(len(small)) and sets["library/all"] == str(len(everything))
    assert "library/x: no such set of levels" in refused(capsys, "levels", "list", "library/x")


def test_a_level_is_described_and_drawn(capsys, tmp_path):
    picture = tmp_path / "level.svg"
    text = said(capsys, "levels", "show", "swing_up", "--out", picture)
    assert "solution: 87 steps" in text and "1 of 1 joints" in text
    assert picture.read_text().startswith("<svg")
    assert "exists already; --force" in refused(capsys, "levels", "show", "swing_up", "--out", picture)
    assert "no such level" in refused(capsys, "levels", "show", "nowhere")


def test_levels_are_converted_back_and_forth(capsys, tmp_path):
    theirs, ours = tmp_path / "kinetix.json", tmp_path / "ours.json"
    main(["levels", "convert", "swing_up", str(theirs), "--format", "kinetix"])
    assert "left out" in capsys.readouterr().err
    said(capsys, "levels", "convert", theirs, ours)
    levels = [kx.load_level(path) for path in ("swing_up", theirs, ours)]
    jax.tree.map(np.testing.assert_array_equal, levels[1], levels[2])
    np.testing.assert_allclose(levels[0].sim.position, levels[1].sim.position, atol=1e-6)
    before = ours.read_text()
    assert "exists already; --force" in refused(capsys, "levels", "convert", "swing_up", ours)
    assert "no such folder" in refused(capsys, "levels", "convert", theirs, tmp_path / "none" / "a.json")
    assert ours.read_text() == before and {path.name for path in tmp_path.iterdir()} == {
        theirs.name,
        ours.name,
    }
    said(capsys, "levels", "convert", "swing_up", ours, "--force")
    assert ours.read_text() != before


def test_level_files_are_checked(capsys, tmp_path):
    (tmp_path / "good.json").write_text(kx.level_to_json(kx.empty_level(kx.SIZES["s"])))
    assert said(capsys, "levels", "validate", tmp_path) == f"{tmp_path / 'good.json'}: ok\n"
    (tmp_path / "bad.json").write_text("{}")
    message = refused(capsys, "levels", "validate", tmp_path)
    assert "1 of 2 files are wrong" in message and "bad.json: the content has neither" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such_level.json"], "kinetix play: no_such_level.json: no such level file"),
        (["--port", "TAKEN"], "kinetix play: port TAKEN: Address already in use; choose another with --port"),
        (["--agent", "no_such_run"], "no_such_run: neither a run folder nor a checkpoint in one"),
        (["--watch"], "--watch needs an --agent"),
        (["--port", "70000"], "must be in 0 .. 65535, got 70000"),
        (["--time-limit", "-1"], "must be in 0 .. 1e6, got -1"),
    ],
)
def test_playing_refuses_what_it_cannot_do(arguments, message, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        given = [argument.replace("TAKEN", taken) for argument in arguments]
        given += [] if "--port" in arguments else ["--port", "0"]
        text = refused(capsys, "play", *given)
    assert message.replace("TAKEN", taken) in text and "compiling" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such_level.json"], "kinetix edit: no_such_level.json: no such level file"),
        (["--folder", "FILE"], "kinetix edit: FILE is no folder"),
        (["--port", "TAKEN"], "kinetix edit: port TAKEN: Address already in use; choose another with --port"),
        (["--agent", "no_such_run"], "no_such_run: neither a run folder nor a checkpoint in one"),
    ],
)
def test_editing_refuses_what_it_cannot_do(arguments, message, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as other:
        names = {"TAKEN": str(other.getsockname()[1]), "FILE": str(tmp_path / "file")}
        given = [names.get(argument, argument) for argument in arguments]
        text = refused(capsys, "edit", *given, *([] if "--port" in arguments else ["--port", "0"]))
    for name, value in names.items():
        message = message.replace(name, value)
    assert message in text and "edit at" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.json"], "kinetix solve: nowhere.json: no such level file"),
        (["swing_up", "--write"], "--write needs a file"),
        (["THEIRS", "--write"], "is in Kinetix's format, which has no place for a solution"),
    ],
)
def test_solving_refuses_what_it_cannot_do(arguments, message, capsys, tmp_path):
    if "THEIRS" in arguments:
        kx.save_level(kx.load_level("swing_up"), tmp_path / "a.json", format="kinetix")
    given = [argument.replace("THEIRS", str(tmp_path / "a.json")) for argument in arguments]
    assert message in refused(capsys, "solve", *given)


def test_the_benchmark_prints_one_json_line():
    """Of pictures, which compile soonest, and need little memory beside their own; started as a script."""
    out = run(
        "scripts/benchmark.py", "pixels", "--size", "s", "--num-envs", "8", "--steps", "3", "--pixels", "50"
    )
    assert out.returncode == 0, out.stderr
    (line,) = out.stdout.splitlines()
    report = json.loads(line)
    assert report["finite"] is True and report["frames_bytes"] == 8 * 50 * 50 * 3 * 4
    assert report["frames_per_second"] > 0 and report["frames_per_second_one_a_call"] > 0
    assert 1 <= report["memory_over_frames"] < 1.2
    assert {"device", "jax", "trace_seconds", "compile_seconds", "peak_memory_bytes"} <= report.keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "field"), [("engine", "kernels_per_step"), ("env", "cost_over_physics"), ("generator", "finite")]
)
def test_the_other_parts_are_timed_too(part, field):
    steps = [] if part == "generator" else ["--steps", "3"]
    out = run("scripts/benchmark.py", part, "--size", "s", "--num-envs", "4", *steps)
    assert out.returncode == 0, out.stderr
    assert json.loads(out.stdout)[field] > 0


@pytest.mark.slow
def test_updates_are_timed_by_the_config_that_is_given():
    words = ["network=mlp", "network.width=8", "network.layers=1", "env.observation_type=blind"]
    words += ["training.num_rollouts=1", "ppo.minibatch_size=128", "curriculum=domain_randomization"]
    words += ["training.seed=5", "env.contact_order=kinetix"]
    out = run("scripts/benchmark.py", "train", "--size", "s", "--num-envs", "8", "--steps", "16", *words)
    assert out.returncode == 0, out.stderr
    report = json.loads(out.stdout)
    assert (report["seed"], report["contact_order"]) == (5, "kinetix") and report["steps_per_second"] > 0
    assert min(report["steps_per_second_of"].values()) > 0
    assert sum(report["share"].values()) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("training.num_seeds=2", "training.num_seeds must be 1 to be timed, got 2"),
        ("training.num_devices=2", "training.num_devices must be 1 to be timed, got 2"),
        ("size=m", "env.size must be s to be timed, got m"),
    ],
)
def test_updates_that_are_not_timed_are_refused(word, message, capsys):
    assert message in refused(capsys, "benchmark", "train", "--size", "s", "--num-envs", "512", word)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-envs", "0"], "must be at least 1, got 0"),
        (["--num-envs", "3"], "--num-envs 3 is not a multiple of --devices 2"),
        (["--num-envs", "4", "--size", "xl"], "invalid choice: 'xl'"),
    ],
)
def test_the_benchmark_refuses_what_it_cannot_do(arguments, message, capsys):
    size = [] if "--size" in arguments else ["--size", "s"]
    assert message in refused(capsys, "benchmark", "engine", *size, *arguments)


@pytest.mark.slow
def test_the_example_drives_over_the_ramp():
    out = run("examples/car_over_ramp.py")
    assert out.returncode == 0, out.stderr
    assert "throttle 1.0: from x = 1.00 m to x = 4." in out.stdout
    assert len((ROOT / "examples" / "car_over_ramp.py").read_text().splitlines()) < 40
