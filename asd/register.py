"""Put an exported model into MLflow's registry: ``python -m asd.register RUN name=fan``"""

from __future__ import annotations

import argparse
import os
import shutil
import warnings
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from asd.errors import AsdError
from asd.exit_status import exit_status, program
from asd.experiment.run_folder import RunFolder
from asd.options import check_choice
from asd.score import checkpoint_of
from asd.tracking.mlflow_run import known_run
from asd.tracking.mlflow_store import Tracking, answering, connect


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 for an input that the user must mend."""
    parser = argparse.ArgumentParser(
        prog="python -m asd.register",
        description="Register an exported model of a run, or give an alias to a version.",
    )
    parser.add_argument(
        "word", nargs="+", metavar="RUN | NAME=VALUE",
        help="RUN, or of several models its folder in RUN/models; name=fan; alias=champion; "
        "onnx=FILE, else model.onnx beside model.ckpt; run=RUN that trained it, of a model that "
        "asd.recalibrate made; without RUN version=1, to move the alias back; uri= of the tracker",
    )  # fmt: skip
    return exit_status(lambda: _register(parser.parse_args(arguments).word))


def _register(words: list[str]) -> None:
    given = dict(word.split("=", 1) for word in words if "=" in word)
    runs = [word for word in words if "=" not in word]
    for option in given:
        check_choice("option", option, ("name", "alias", "onnx", "run", "version", "uri"))
    name, alias, number = given.get("name"), given.get("alias"), given.get("version")
    if not name or len(runs) != (number is None) or (number and not alias):
        raise AsdError("give RUN name=NAME alias=ALIAS, or name=NAME alias=ALIAS version=NUMBER")
    tracking = Tracking.configured(given.get("uri"))
    client, _ = connect(tracking)
    with answering(tracking):
        if number is None:
            checkpoint = checkpoint_of(runs[0], tracking.uri, Path()).absolute()
            onnx = Path(given.get("onnx") or checkpoint.with_suffix(".onnx"))
            folder = RunFolder(Path(given.get("run") or checkpoint.parents[2]))
            number = _logged(client, tracking.uri, name, checkpoint, onnx, folder)
        if alias:
            client.set_registered_model_alias(name, alias, number)
    print(f"models:/{name}/{number}" + (f" is models:/{name}@{alias}" if alias else ""))


def _logged(client: Any, uri: str, name: str, model: Path, onnx: Path, folder: RunFolder) -> str:
    """Log an exported model beside the metrics of its run, ``folder``; the version that it is."""
    import asd.deployment
    from asd.data.manifest import content_hash
    from asd.deployment.onnx_runner import OnnxRunner

    try:
        made_of = OnnxRunner(onnx).card["model_hash"]
        if made_of != content_hash(model.read_bytes()):
            raise ValueError(f"{onnx}: made of another model than {model}")
    except (ValueError, OSError) as error:
        raise AsdError(f"{error}: python -m asd.export {model} {onnx} CLIPS") from error
    if (run := known_run(client, uri, folder.record())) is None:
        raise AsdError(f"{folder.path}: not in {uri}: asd.tracking.sync RUN, or run=ITS_RUN")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, Schema

    takes: list[Any] = [ColSpec("string", "audio"), ColSpec("string", "machine", required=False)]
    gives: list[Any] = [ColSpec("double", one) for one in ("score", "p_value", "threshold")]
    gives.append(ColSpec("boolean", "alarm"))
    needs = ("mlflow", "onnxruntime", "numpy", "soundfile")
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment(experiment_id=run.info.experiment_id)
    own = Path(asd.deployment.__path__[0])
    with TemporaryDirectory() as neutral, warnings.catch_warnings(action="ignore"):
        logged = Model.log(
            None, mlflow.pyfunc, name, run_id=run.info.run_id, name=name,
            python_model=shutil.copy(own / "served_model.py", neutral),  # its path is stored
            artifacts={"onnx": str(onnx), "runner": str(own / "onnx_runner.py"),
                       "checkpoint": str(model)},
            signature=ModelSignature(Schema(takes), Schema(gives)),
            pip_requirements=[f"{package}=={version(package)}" for package in needs],
        )  # fmt: skip
    return str(logged.registered_model_version)


if __name__ == "__main__":
    program(main)
