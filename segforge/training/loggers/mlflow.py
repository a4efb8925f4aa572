"""MLflow: a run in the experiment of the data set's name, where `MLFLOW_TRACKING_URI` says."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from segforge.training.loggers.logger import LoggedRun

_TAG = "segforge.run"
_FOREIGN = re.compile(r"[^\w\-. /]")  # what MLflow allows in no name


class MlflowLogger:
    """Sends an epoch's numbers as metrics, the settings as parameters, and the picture as an artifact."""

    package: ClassVar[str] = "mlflow"

    def __init__(self, run: LoggedRun) -> None:
        from mlflow import MlflowClient

        self._client = MlflowClient()
        experiment = self._client.get_experiment_by_name(run.project)
        number = experiment.experiment_id if experiment else self._client.create_experiment(run.project)
        found = self._client.search_runs([number], f"tags.`{_TAG}` = '{run.id}'", max_results=1)
        self._run: str = (found[0] if found else self._begin(number, run)).info.run_id
        self._client.update_run(self._run, status="RUNNING")

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Send an epoch's numbers."""
        for name, value in numbers.items():
            self._client.log_metric(self._run, _FOREIGN.sub("_", name), value, step=epoch)

    def picture(self, epoch: int, path: Path) -> None:
        """Send the picture, which takes the place of the one before."""
        self._client.log_artifact(self._run, str(path))

    def close(self) -> None:
        """The run is over, for now at least."""
        self._client.set_terminated(self._run)

    def _begin(self, experiment: str, run: LoggedRun) -> Any:
        begun = self._client.create_run(experiment, tags={_TAG: run.id}, run_name=run.name)
        for name, value in run.settings.items():
            self._client.log_param(begun.info.run_id, name, value)
        return begun
