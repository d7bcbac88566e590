"""All programs under one name: ``asd train ...`` is ``python -m asd.train ...``."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.metadata import version

from asd.exit_status import program
from asd.options import hint

#: What follows ``asd``, the module, and what it is for.
PROGRAMS = {
    "train": ("asd.train", "train, score and log a system; with -m a sweep or a search"),
    "sweeps": ("asd.sweeps.__main__", "which sweeps there are, and how far one is"),
    "report": ("asd.report", "tables, comparisons and pictures of finished runs"),
    "evaluate": ("asd.evaluate", "a run's tables again, from its scores alone"),
    "pictures": ("asd.pictures.__main__", "a run's pictures again, from its files alone"),
    "score": ("asd.score", "score recordings with a trained model"),
    "download": ("asd.data.download.__main__", "fetch or check the real corpus"),
    "features": ("asd.features.__main__", "build, list and prune the feature store"),
    "sync": ("asd.tracking.sync", "complete runs that MLflow missed"),
}


def _use() -> str:
    lines = [f"  asd {name:10} {purpose}" for name, (_, purpose) in PROGRAMS.items()]
    head = f"asd {version('asd')}: experiment-tracked sweeps for anomalous sound detection"
    return "\n".join([head, "", *lines, "", "asd NAME --help says more of each; asd --version"])


def _complete(words: list[str]) -> int:
    """Hydra's shell completion: of the programs' names, and of the options of ``asd train``."""
    _, *typed = os.environ.get("COMP_LINE", "asd").split(" ")
    if words[-1].startswith("query=") and len(typed) < 2:
        print(*PROGRAMS)
    elif words[-1].startswith("query=") and typed[0] != "train":
        return 0  # the shell offers files
    else:
        os.environ["COMP_LINE"] = " ".join(["asd", *typed[1:]])
        import_module("asd.train").main()
    return 0


def main() -> int | None:
    """The command line; returns the exit status: 0, or 2 for what there is not."""
    name, *words = sys.argv[1:] or ["--help"]
    sys.argv[0] = "asd"  # also where it is python -m asd
    if name == "-sc" and words:
        return _complete(words)
    if name in ("-h", "--help", "--version"):
        print(f"asd {version('asd')}" if name == "--version" else _use())
        return 0
    if name not in PROGRAMS:
        print(f"error: {name}: no such program{hint(name, [*PROGRAMS])}", _use(), sep="\n\n",
              file=sys.stderr)  # fmt: skip
        return 2
    module = PROGRAMS[name][0]
    # As python -m would have it: messages say how to go on by what was typed.
    sys.orig_argv = [sys.executable, "-m", module.removesuffix(".__main__"), *words]
    sys.argv[1:] = words
    status: int | None = import_module(module).main()
    return status


def script() -> None:
    """What the console script ``asd`` calls."""
    program(main)


if __name__ == "__main__":
    script()
