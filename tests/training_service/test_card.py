"""The card: it shows what the manifest says, needs nothing but itself, and is the same for the same model."""

import datetime as dt
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from barlake.keys import ArtifactKind
from barlake.lake import Lake
from training_service.card import render, write_card
from training_service.card_view import fold_lines, importance_bars, prediction_bars, score_lines
from training_service.train import train

METRICS = {
    "accuracy": {"value": 0.52, "low": 0.50, "high": 0.54},
    "log_loss": {"value": None, "low": None, "high": None},
    "auc": {"value": 0.51, "low": 0.49, "high": 0.53},
}
BASELINES = {"constant": {"accuracy": 0.51, "auc": 0.5}, "last": {"accuracy": 0.49}}
SCORES: dict[str, Any] = {"rows": 10, "metrics": METRICS, "baselines": BASELINES}
STAMP = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
FACTS: dict[str, Any] = {
    "parameters": {
        "symbols": ["SPY", "QQQ"], "feed": "sip", "session": "regular", "target": "direction", "horizon": 5,
        "task": "classification", "estimator": "<script>alert(1)</script>", "nested": {"rate": 0.1, "none": None},
    },
    "inputs": {}, "code": "c0de", "seed": 7,
    "results": {
        "verdict": "It does NOT beat the baseline.", "overall": SCORES,
        "folds": [{"fold": 0, "first_session": "2024-01-02", "scores": SCORES}],
    },
}  # fmt: skip


class _Tags(HTMLParser):
    """Names of the elements, and whether each that was opened was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.names.append(tag)
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def page(tmp_path: Path) -> str:
    return render(tmp_path, "0123456789abcdef", **FACTS)


def test_the_page_is_whole_and_asks_for_nothing(page: str) -> None:
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert not {"script", "link", "img", "iframe"} & set(tags.names)
    assert not re.search(r"https?://|url\(|@import", page)


def test_what_a_manifest_says_is_shown_as_text_and_never_as_markup(page: str) -> None:
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_scores_stand_beside_their_interval_and_every_baseline(page: str) -> None:
    row = re.search(r'<tr><th scope="row">accuracy</th>(.*?)</tr>', page)
    assert row is not None
    assert re.findall(r">([^<>]+)</td>", row[1]) == ["0.5200", "0.5000 to 0.5400", "0.5100", "0.4900"]
    missing = re.search(r'<tr><th scope="row">log loss</th>(.*?)</tr>', page)
    assert missing is not None
    assert re.findall(r">([^<>]+)</td>", missing[1]) == ["\N{EN DASH}"] * 4


def test_the_card_of_an_imported_model_says_so(tmp_path: Path, page: str) -> None:
    results = {**FACTS["results"], "imported": {"file": "theirs.skops"}}
    assert "imported from theirs.skops" in render(tmp_path, "0", **{**FACTS, "results": results})
    assert "imported" not in page


def test_the_same_model_has_the_same_card(full_lake: Lake, tmp_path: Path) -> None:
    report = train(full_lake, ["SPY", "QQQ"], folds=2)
    written = (report.path / "card.html").read_text(encoding="utf-8")
    assert report.verdict.replace("'", "&#39;") in written
    for table in report.path.glob("*.parquet"):
        (tmp_path / table.name).write_bytes(table.read_bytes())
    model = full_lake.artifacts.find(ArtifactKind.MODEL, report.model_id)
    path = write_card(
        tmp_path, model.id, parameters=model.parameters, inputs=model.inputs, code=model.code, seed=model.seed,
        results=model.results,
    )  # fmt: skip
    assert path.read_text(encoding="utf-8") == written


def test_all_scores_of_a_picture_share_one_scale() -> None:
    folds = [
        {"fold": 0, "first_session": "2024-01-02", "scores": SCORES},
        {
            "fold": 1, "first_session": "2024-01-03",
            "scores": {"metrics": {"auc": {"value": 0.61, "low": None, "high": None}}, "baselines": {}},
        },
    ]  # fmt: skip
    metric, lines = score_lines(SCORES, folds)
    assert metric == "auc"
    assert [line.value for line in lines] == [0.51, 0.51, 0.61]
    # The scale runs from 0.49 to 0.61 with 6 % of room at both ends: 0.4828 to 0.6172.
    assert [line.at for line in lines] == pytest.approx([20.238, 20.238, 94.643], abs=0.001)
    assert (lines[2].low, lines[2].baseline) == (None, None)


def test_scores_that_are_nowhere_defined_draw_nothing() -> None:
    nothing = {"metrics": {"auc": {"value": None, "low": None, "high": None}}, "baselines": {}}
    assert score_lines(nothing, []) == ("auc", [])
    assert score_lines({}, []) == ("", [])


def test_folds_lie_on_one_line_of_time_and_rows_without_label_are_no_holes() -> None:
    hours = [(0, "train", 0, 2), (0, "train", 3, 5), (0, "test", 6, 8), (1, "train", 0, 7), (1, "test", 8, 10)]
    hour = dt.timedelta(hours=1)
    frame = pl.DataFrame(
        [(number, part, STAMP + first * hour, STAMP + last * hour, 9) for number, part, first, last in hours],
        schema=["fold", "part", "first_timestamp", "last_timestamp", "rows"], orient="row",
    )  # fmt: skip
    lines = fold_lines(frame)
    assert [[(span.part, span.start, span.width) for span in line.spans] for line in lines] == [
        [("train", 0, 50), ("test", 60, 20)],
        [("train", 0, 70), ("test", 80, 20)],
    ]
    assert fold_lines(frame.clear()) == []


def test_a_histogram_counts_every_prediction_once() -> None:
    bars = prediction_bars(pl.DataFrame({"prediction": [0.1] * 30 + [0.9] * 10 + [None, float("nan")]}))
    assert sum(int(re.search(r": ([\d,]+) bars", bar.label)[1]) for bar in bars) == 40  # type: ignore[index]  # it is there
    assert (bars[0].length, round(bars[-1].length, 2)) == (100, 33.33)
    assert len(prediction_bars(pl.DataFrame({"prediction": [0.5, 0.5]}))) == len(bars)
    assert prediction_bars(pl.DataFrame({"prediction": []}, schema={"prediction": pl.Float64})) == []


def test_features_are_listed_by_importance_and_one_that_harms_has_no_length() -> None:
    table = pl.DataFrame(
        {"feature": ["a", "b", "c"], "importance": [0.01, 0.04, -0.02], "importance_deviation": [0.0, 0.1, 0.2]}
    )
    assert [(bar.label, bar.length) for bar in importance_bars(table)] == [("b", 100), ("a", 25), ("c", 0)]


def test_the_card_says_what_is_lost_when_nothing_is_shuffled(tmp_path: Path) -> None:
    table = pl.DataFrame({"feature": ["a"], "importance": [0.01], "importance_deviation": [0.0], "loss": [0.6931]})
    table.write_parquet(tmp_path / "importance.parquet")
    assert "it is 0.6931 as they are" in render(tmp_path, "0123456789abcdef", **FACTS)
