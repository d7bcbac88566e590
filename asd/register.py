"""Put an exported model into MLflow's registry: ``python -m asd.register RUN name=fan``"""

from __future__ import annotations

import argparse
from pathlib import Path

from asd.errors import AsdError
from asd.exit_status import exit_status, program
from asd.experiment.run_folder import RunFolder
from asd.options import check_names

_SETTINGS = ("name", "alias", "model", "onnx", "version", "uri")


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 for an input that the user must mend."""
    parser = argparse.ArgumentParser(
        prog="python -m asd.register",
        description="Register an exported model of a run; or give an alias to a version.",
    )
    parser.add_argument("run", type=Path, nargs="?", help="the run's folder; none: with version=")
    parser.add_argument(
        "setting", nargs="+", metavar="NAME=VALUE",
        help="name=fan; alias=champion; model=GROUP, of several; onnx=FILE, else model.onnx beside "
        "model.ckpt; version=1, to move the alias back; uri= of the tracker",
    )  # fmt: skip
    return exit_status(lambda: _register(parser.parse_args(arguments)))


def _register(options: argparse.Namespace) -> None:
    words = [*([str(options.run)] if "=" in str(options.run) else []), *options.setting]
    given = dict(word.partition("=")[::2] for word in words)
    check_names("", given, _SETTINGS)
    from asd.deployment.model_registry import move_alias, register_model
    from asd.tracking.mlflow_store import Tracking

    name, alias = given.get("name"), given.get("alias")
    if not name:
        raise AsdError("name=NAME: of the registered model, is needed")
    tracking = Tracking.configured(given.get("uri"))
    if number := given.get("version"):
        if alias is None:
            raise AsdError(f"version={number}: which alias is it to have? alias=NAME")
        move_alias(name, alias, number, tracking)
    else:
        folder = RunFolder(options.run.absolute())
        models = {model.name: model for model in folder.models()}
        group = given.get("model") or next(iter(models), "")
        if group not in models or (len(models) > 1 and "model" not in given):
            raise AsdError(f"{options.run}: model=GROUP, one of {', '.join(models) or 'none'}")
        onnx = Path(given.get("onnx") or models[group] / "model.onnx")
        number = register_model(folder, models[group], onnx, name, alias, tracking)
    print(f"models:/{name}/{number}" + (f" is models:/{name}@{alias}" if alias else ""))


if __name__ == "__main__":
    program(main)
