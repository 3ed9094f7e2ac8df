"""The page on training: its own pipeline trains, its table names every preset, its commands are understood."""

import argparse
import re
import shlex
import sys
from pathlib import Path

import pytest

from barlake.lake import Lake
from training_service.models import ModelSpec
from training_service.options import add_options, train_arguments
from training_service.presets import PRESETS
from training_service.search_space import SearchKind
from training_service.targets import Target
from training_service.train import train

PAGE = (Path(__file__).resolve().parents[2] / "docs/training.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", ["direction", "return"])
def test_the_pipeline_of_the_page_trains(
    full_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    (source,) = (block for block in blocks if "def make_pipeline" in block)
    (tmp_path / "my_models.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_models", raising=False)
    report = train(full_lake, "SPY", target=target, estimator=ModelSpec("my_models:make_pipeline"), folds=2)
    assert report.inputs["own_pipeline"]["path"] == "my_models:make_pipeline"
    assert len(report.inputs["own_pipeline"]["sha256"]) == 64


@pytest.mark.parametrize("name", [*PRESETS, *SearchKind, *Target])
def test_the_page_names_every_choice(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_the_commands_of_the_page_are_understood() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("symbols")
    add_options(parser)
    commands = re.findall(r"^barlake train (.*)$", PAGE, flags=re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        train_arguments(**vars(parser.parse_args(shlex.split(command))))
