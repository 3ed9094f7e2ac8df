"""Bars of a lake on S3 leave as copies and as a DuckLake script; a Delta table is for folders."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import barlake
from barlake.delta_log import register_delta
from barlake.ducklake import ducklake_script
from barlake.errors import InvalidInputError
from barlake.export_files import write_export, writer_of
from barlake.exporting import BarExport, BarSelection
from barlake.testing import make_bars


def test_bars_leave_a_bucket(s3_root: str, tmp_path: Path) -> None:
    with barlake.open(s3_root) as lake:
        lake.write_bars(make_bars([dt.date(2024, 1, 2)], minutes=10), feed="synthetic", symbol="SPY")
        target = tmp_path / "bars.parquet"
        assert write_export(BarExport(lake, BarSelection()), target, writer_of(target))[0] == 10
        assert_frame_equal(pl.read_parquet(target), lake.bars("SPY"))
        files = lake.manifest.files()
        script = ducklake_script(lake.store, files, catalogue=tmp_path / "bars.ducklake")
        assert f"'{s3_root}/{files[0].path}'" in script
        with pytest.raises(InvalidInputError, match="over files on a disk only"):
            register_delta(lake.store, files)
