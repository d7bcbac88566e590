"""Anomalous sound detection; from Python: ``asd.load(model)`` and ``asd.results("runs")``."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asd.notebook import TrainedModel, load, results

__all__ = ["TrainedModel", "load", "results"]


def __getattr__(name: str) -> Any:
    """What is asked for, imported only then (PEP 562)."""
    if name in __all__:
        return getattr(import_module("asd.notebook"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
