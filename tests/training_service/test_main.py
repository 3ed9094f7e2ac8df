"""The door: a table or JSON on stdout, one message on stderr, exit codes."""

import json
import subprocess
import sys

import pytest

from barlake.lake import Lake
from training_service.main import main


def test_the_table_shows_the_model_beside_the_baseline_and_what_to_run_next(
    full_lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["SPY,QQQ", "--folds", "2", "--root", str(full_lake.root)]) == 0
    shown = capsys.readouterr().out
    for part in (
        "model ",
        "baseline ",
        "accuracy",
        "drop rate QQQ: ",
        "the baseline out of sample",
        "fold 1, 2024-01-",
    ):
        assert part in shown
    model_id = shown.split("next: barlake simulate --model ")[1].split()[0]
    assert f"model {model_id} (made)" in shown
    assert shown.rstrip().endswith("--symbol SPY")


def test_json_is_the_whole_of_stdout(full_lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["SPY", "QQQ", "--target", "return", "--horizon", "3", "--folds", "2", "--json"]
    assert main([*arguments, "--root", str(full_lake.root)]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["parameters"]["symbols"] == ["SPY", "QQQ"]
    assert figures["parameters"]["horizon"] == 3
    assert figures["overall"]["rows"] == sum(fold["scores"]["rows"] for fold in figures["folds"])


def test_an_error_is_one_message_on_stderr_and_exit_code_1(full_lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["IWM", "--root", str(full_lake.root)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: symbol 'IWM' has no bars")
    assert "Traceback" not in shown.err


def test_wrong_usage_is_exit_code_2(full_lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["SPY", "--target", "up", "--root", str(full_lake.root)])
    assert stopped.value.code == 2
    assert "--target" in capsys.readouterr().err


def test_ctrl_c_is_exit_code_130_and_writes_nothing(
    full_lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sklearn.pipeline.Pipeline.fit", interrupted)
    assert main(["SPY", "--root", str(full_lake.root)]) == 130
    assert "nothing was written" in capsys.readouterr().err
    assert not list((full_lake.root / "models").glob("*"))


def test_the_module_runs_as_a_command(full_lake: Lake) -> None:
    command = [sys.executable, "-m", "training_service.main", "SPY,QQQ", "--folds", "2", "--json"]
    done = subprocess.run(
        [*command, "--root", str(full_lake.root)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["created"] is True


def test_the_table_tells_what_a_search_found_and_how_histories_differ(
    full_lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--estimator", "logistic", "--search", "grid", "--space", "C=0.1,1", "--inner-folds", "1"]
    assert main(["SPY", "--folds", "2", "--combinatorial", "4,1", *options, "--root", str(full_lake.root)]) == 0
    shown = capsys.readouterr().out
    for part in (
        "fold 0: C=",
        "last model: C=",
        "of 2 tries, 0 failed",
        "other histories (paths: 1, fits: 4)",
        "  accuracy 0.",
    ):
        assert part in shown
