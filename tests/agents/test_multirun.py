"""Names of a multirun's folders, and what the command does when a run of it is stopped."""

from __future__ import annotations

import pytest

from agents.cli import main as command
from agents.cli import train as train_command
from agents.cli.sweep import numbered, swept_values
from agents.config import read_config


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Training is replaced by a note of the seed, `ends` says how each run ends, `path` is their folder."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(train_command, "validate_run", lambda config: None)

    def fake(config, folder, resume):
        fake.seeds.append(config.training.seed)
        if fake.ends[len(fake.seeds) - 1] is KeyboardInterrupt:
            raise KeyboardInterrupt
        return fake.ends[len(fake.seeds) - 1]

    fake.seeds, fake.ends, fake.path = [], [True] * 3, tmp_path / "runs"
    monkeypatch.setattr(train_command, "train", fake)
    return fake


def start(runs, *words):
    command.main(["train", "--multirun", f"output.folder={runs.path}", *words])


def test_each_run_has_a_folder_of_its_own(runs, capsys):
    start(runs, "output.name=a", "training.seed=5,6,7")
    assert runs.seeds == [5, 6, 7]
    assert {path.name for path in runs.path.iterdir()} >= {"a_0", "a_1", "a_2"}
    assert "stopped" not in capsys.readouterr().out
    assert numbered(read_config({}), 3).output.name.endswith("_3")


@pytest.mark.parametrize("names", ["a", "b,a"])
def test_a_folder_in_the_way_is_told_of_before_the_first_run(runs, names):
    (runs.path / "a_1").mkdir(parents=True)
    with pytest.raises(SystemExit, match=r"a_1: exists already, so nothing was started; .*--resume .*/a_1"):
        start(runs, f"output.name={names}", "training.seed=0,1")
    assert runs.seeds == [] and {path.name for path in runs.path.iterdir()} == {"a_1"}
    start(runs, "output.name=a_1", "training.seed=0,1")  # another name: a_1_0, a_1_1
    assert runs.seeds == [0, 1]


@pytest.mark.parametrize("end", [False, KeyboardInterrupt])
def test_a_run_that_is_stopped_ends_the_multirun(runs, capsys, end):
    """By one Ctrl-C, which lets the call end, or by two."""
    runs.ends[1] = end
    with pytest.raises(SystemExit) as stopped:
        start(runs, "output.name=a", "training.seed=5,6,7")
    assert stopped.value.code == 130 and runs.seeds == [5, 6]
    out = capsys.readouterr().out
    assert f"go on with: kinetix train --resume {runs.path / 'a_1'}\n" in out and "a_0\n" in out
    assert "the multirun ends here: its later runs were not started" in out


def test_values_of_a_sweep_are_read_from_its_overrides():
    words = ["training.seed=0,1", "output.name=a,'b c'", "size=s", "training.num_envs=range(2)"]
    assert swept_values(words, "output.name", None) == ["a", "b c"]
    assert swept_values(words, "output.folder", "runs") == ["runs"]
    assert swept_values(words, "training.seed", 3) == [0, 1]
