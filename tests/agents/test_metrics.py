"""Metrics of a run: rows, curves, Weights & Biases."""

from __future__ import annotations

import json
import pathlib
import sys

import numpy as np
import pytest

from agents.config import ConfigError, TrainConfig, read_config
from agents.io.metrics import MetricLog, read_metrics
from agents.io.run_folder import RunFolder
from agents.training.curves import smooth
from agents.training.loop import validate_run
from agents.training.report import draw_curves

pytestmark = pytest.mark.usefixtures("compiled_fast")

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CACHE = str(ROOT / ".cache" / "jax")
TIMING = ("seconds", "steps_per_second")


class FakeWandb:
    """A stand-in for the module `wandb` that records what it is told."""

    def __init__(self):
        self.started, self.rows, self.finished = [], [], 0

    def init(self, **options):
        self.started.append(options)
        return self

    def log(self, row, step):
        self.rows.append((step, row))

    def finish(self):
        self.finished += 1


def test_a_resumed_run_goes_on_with_its_run_in_weights_and_biases(tmp_path, monkeypatch):
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    options = {"wandb": True, "wandb_project": "p", "wandb_entity": "e", "wandb_group": "g"}
    config = read_config({"output": options | {"wandb_tags": ["a", "b"]}, "training": {"seed": 7}})
    for name, update in (("one", 1), ("one", 2), ("two", 1)):
        (tmp_path / name).mkdir(exist_ok=True)
        log = MetricLog(tmp_path / name, config, num_updates=update - 1)
        log.write({"update": update, "env_steps": 10 * update})
        log.close()
    first, again, other = fake.started
    assert first == again and first["resume"] == "allow" and first["id"] != other["id"]
    assert (first["name"], first["project"], first["entity"], first["group"]) == ("one", "p", "e", "g")
    assert first["tags"] == ["a", "b"] and first["config"]["training"]["seed"] == 7
    assert [step for step, _ in fake.rows] == [10, 20, 10] and fake.finished == 3


def test_weights_and_biases_is_missed_before_a_run_folder_is_made(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)  # as if it were not installed
    validate_run(read_config(tiny(tmp_path)))
    with pytest.raises(ConfigError, match="wandb is not installed: pip install wandb"):
        validate_run(read_config(tiny(tmp_path, output__wandb=True)))


def test_metrics_survive_a_cut_line_and_drop_what_comes_again(tmp_path):
    path = tmp_path / "metrics.jsonl"
    rows = [{"update": i, "env_steps": 10 * i} for i in range(1, 6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"update": 6, "env')
    assert read_metrics(path) == rows
    log = MetricLog(tmp_path, TrainConfig(), num_updates=3)
    assert log.last == rows[2]
    log.write({"update": 4, "env_steps": 40})
    log.close()
    assert [row["update"] for row in read_metrics(path)] == [1, 2, 3, 4]


def test_curves_are_smoothed_over_what_there_is():
    np.testing.assert_allclose(smooth(np.array([1.0, 3.0, 5.0, 7.0]), 2), [1, 2, 4, 6])


def test_nothing_is_drawn_of_a_run_without_rows(tmp_path):
    draw_curves(RunFolder(tmp_path))
    assert list(tmp_path.iterdir()) == []
