"""Exported models in MLflow's registry, to be loaded and served by name and alias."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from asd.deployment.onnx_export import file_hash
from asd.deployment.onnx_runner import OnnxRunner
from asd.errors import AsdError
from asd.experiment.run_folder import RunFolder
from asd.tracking.mlflow_run import known_run
from asd.tracking.mlflow_store import Tracking, answering, connect

# Of the environment that MLflow makes to serve a model.
_PACKAGES = ("mlflow", "onnxruntime", "numpy", "soundfile")


def register_model(
    folder: RunFolder, model: Path, onnx: Path, name: str, alias: str | None, tracking: Tracking
) -> str:
    """Log an exported model of a run, and make it the newest version of a registered one.

    Args:
        folder: the run's, known to the tracker.
        model: folder of ``model.ckpt``.
        onnx: what ``asd.export`` made of it.
        name: of the registered model, which is made if need be.
        alias: that this version gets, and an earlier one loses; None: none.
        tracking: where.

    Returns:
        The version.

    Raises:
        AsdError: there is no such file or it is of another checkpoint, or the run is not there.
    """
    checkpoint = model / "model.ckpt"
    try:
        card = OnnxRunner(onnx).card
    except ValueError as error:
        raise AsdError(f"{error}: python -m asd.export {model} {onnx} CLIPS") from error
    if card["model_hash"] != file_hash(checkpoint):
        raise AsdError(f"{onnx}: made of another checkpoint than {checkpoint}: export it again")
    client, _ = connect(tracking)
    import mlflow
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, Schema

    wanted: list[Any] = [ColSpec("string", "audio"), ColSpec("string", "machine", required=False)]
    given: list[Any] = [ColSpec("double", one) for one in ("score", "p_value", "threshold")]
    given.append(ColSpec("boolean", "alarm"))
    own = Path(__file__).parent
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    with (
        answering(tracking),
        TemporaryDirectory() as neutral,  # its path is stored
        warnings.catch_warnings(action="ignore"),  # advice to infer what is said here
    ):
        run = known_run(client, tracking.uri, folder.record())
        if run is None:
            raise AsdError(f"{folder.path}: not in {tracking.uri}: python -m asd.tracking.sync it")
        mlflow.set_tracking_uri(tracking.uri)
        mlflow.set_experiment(experiment_id=run.info.experiment_id)
        logged = Model.log(
            None, mlflow.pyfunc, name, run_id=run.info.run_id, name=name,
            python_model=shutil.copy(own / "served_model.py", neutral),
            artifacts={
                "onnx": str(onnx), "runner": str(own / "onnx_runner.py"),
                "checkpoint": str(checkpoint),
            },
            signature=ModelSignature(Schema(wanted), Schema(given)),
            pip_requirements=[f"{package}=={version(package)}" for package in _PACKAGES],
            metadata={key: json.dumps(card[key]) for key in ("licence", "machines", "proof")},
        )  # fmt: skip
        number = str(logged.registered_model_version)
        if alias is not None:
            client.set_registered_model_alias(name, alias, number)
    return number


def move_alias(name: str, alias: str, number: str, tracking: Tracking) -> None:
    """Give an alias to a version that there is: back to yesterday's model.

    Raises:
        AsdError: there is no such model or version.
    """
    client, _ = connect(tracking)
    with answering(tracking):
        client.set_registered_model_alias(name, alias, number)
