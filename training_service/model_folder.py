"""The folder of a model: its tables and its fitted pipelines.

`predictions.parquet`: symbol, session, timestamp, fold, fitted_before, prediction, signal, for every bar of the
out-of-sample period that has features. `folds.parquet`: row ranges of training and test. `importance.parquet`:
what the models lose without each column. `paths.parquet`: path, metric, value, and `path_folds.parquet`: row
ranges, where other histories were asked for. `model.joblib`: fitted on everything; `fold-00.joblib` and so on:
on what came before their test.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from barlake.durable import storage_errors
from training_service.fits import Fits
from training_service.fold_ranges import fold_table
from training_service.importance import IMPORTANCE
from training_service.model_files import FULL_MODEL, fold_file, save_model

__all__ = ["FOLDS", "PATHS", "PATH_FOLDS", "PREDICTIONS", "write_model"]

PREDICTIONS = "predictions.parquet"
FOLDS = "folds.parquet"
PATHS = "paths.parquet"
PATH_FOLDS = "path_folds.parquet"


def write_model(folder: Path, fits: Fits) -> None:
    """Write tables and pipelines into an empty folder.

    Raises
    ------
    InvalidInputError
        If a pipeline cannot be kept in a file.
    StorageError
        If the disk is full or refuses.
    """
    frame = fits.dataset.frame
    with storage_errors(folder):
        pl.concat([fold.predictions for fold in fits.fitted]).write_parquet(folder / PREDICTIONS)
        fold_table(fits.folds, frame).write_parquet(folder / FOLDS)
        fits.importance.write_parquet(folder / IMPORTANCE)
        if fits.paths is not None:
            fits.paths.frame.write_parquet(folder / PATHS)
            fold_table(fits.paths.folds, frame).write_parquet(folder / PATH_FOLDS)
        for fold in fits.fitted:
            save_model(fold.pipeline, folder / fold_file(fold.number))
        save_model(fits.full_model.pipeline, folder / FULL_MODEL)
