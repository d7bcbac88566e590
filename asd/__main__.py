"""All programs under one name: ``asd train ...`` is ``python -m asd.train ...``."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.metadata import version
from typing import Any

from asd.exit_status import program
from asd.options import hint

#: What follows ``asd``, the module, and what it is for.
PROGRAMS = {
    "train": ("asd.train", "train, score and log a system; with -m a sweep or a search"),
    "sweeps": ("asd.sweeps.__main__", "which sweeps there are, and how far one is"),
    "report": ("asd.report", "tables, comparisons and pictures of finished runs"),
    "preregister": ("asd.preregister", "freeze runs and claims before test labels are used"),
    "score": ("asd.score", "score recordings with a trained model"),
    "watch": ("asd.watch", "score what arrives in a folder or a pipe, with alarms and drift"),
    "recalibrate": ("asd.recalibrate", "a new version of a model from confirmed normal clips"),
    "export": ("asd.export", "one ONNX file of a trained model"),
    "register": ("asd.register", "an exported model in MLflow's registry"),
    "download": ("asd.data.download.__main__", "fetch the real corpus"),
    "sync": ("asd.tracking.sync", "complete runs that MLflow missed"),
}


def _use() -> str:
    lines = [f"  asd {name:12} {purpose}" for name, (_, purpose) in PROGRAMS.items()]
    head = f"asd {version('asd')}: experiment-tracked sweeps for anomalous sound detection"
    return "\n".join([head, "", *lines, "", "asd NAME --help says more of each; asd --version"])


def _complete() -> None:
    """Hydra's shell completion: of the programs' names, and of the options of ``asd train``."""
    _, *typed = os.environ.get("COMP_LINE", "asd train ").split(" ")
    if len(typed) < 2:
        print(*PROGRAMS)
    elif typed[0] == "train":  # of others the shell completes files
        os.environ["COMP_LINE"] = " ".join(["asd", *typed[1:]])
        import_module("asd.train").main()


def main() -> Any:
    """The command line; returns the exit status: the program's own, or 2 for what there is not."""
    name, *words = sys.argv[1:] or ["--help"]
    sys.argv = ["asd", *words]
    if name in ("-h", "--help", "--version"):
        return print(f"asd {version('asd')}" if name == "--version" else _use())
    if name == "-sc" and words:
        sys.argv.insert(1, name)
        return _complete()
    if name not in PROGRAMS:
        print(f"error: {name}: no such program{hint(name, [*PROGRAMS])}; see: asd", file=sys.stderr)
        return 2
    module = PROGRAMS[name][0]
    # As python -m would have it: messages say how to go on by what was typed.
    sys.orig_argv = [sys.executable, "-m", module.removesuffix(".__main__"), *words]
    return import_module(module).main()


def script() -> None:
    """What the console script ``asd`` calls."""
    program(main)


if __name__ == "__main__":
    script()
