"""Loggers of a run: several by name, MLflow's in a local folder, and the end of those that outlive a run."""

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from lightning.pytorch.loggers import Logger, MLFlowLogger, WandbLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment


class LocalMLFlowLogger(MLFlowLogger):
    """Lightning's, for MLflow's plain files: without a database, which the package mlflow-skinny cannot open."""

    def __init__(self, **options: Any) -> None:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        super().__init__(**options)

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        if not self._initialized and self._experiment_id is None and self._run_id is None:
            from mlflow.exceptions import MlflowException

            with suppress(MlflowException):  # it is there; several jobs of a sweep may begin at once
                self._mlflow_client.create_experiment(self._experiment_name, artifact_location=self._artifact_location)
        return MLFlowLogger.experiment.fget(self)


def finish(loggers: Iterable[Logger], failed: bool) -> None:
    """End wandb's run, which the next job of a sweep would go on writing to."""
    for logger in loggers:
        if isinstance(logger, WandbLogger) and logger._experiment is not None:
            logger.experiment.finish(exit_code=int(failed))
