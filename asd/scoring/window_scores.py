"""How what a detector makes of a window becomes its anomaly score; a clip's is their mean.

To add one: a function like these, anywhere, and ``score: package.module.function`` in a file of
``conf/scoring/``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from asd.models.detector import Detector, WindowOutputs

WindowScore = Callable[["Detector", "WindowOutputs"], "Tensor"]


def mse(detector: Detector, windows: WindowOutputs) -> Tensor:
    """[n] mean squared error in the standardised domain."""
    assert windows.mse is not None
    return windows.mse


def mse_db(detector: Detector, windows: WindowOutputs) -> Tensor:
    """[n] mean squared error in decibels: each band weighs by its variance."""
    return (windows.squares * detector.standardiser.std.square()).flatten(1).mean(1)


def combined(detector: Detector, windows: WindowOutputs) -> Tensor:
    """[n] alpha MSE + beta CCE, the CCE against the clip's own class (the paper's eq. 1)."""
    score: Tensor = detector.loss.combine(windows.mse, windows.cce)
    return score


def cce(detector: Detector, windows: WindowOutputs) -> Tensor:
    """[n] cross entropy against the clip's own class: the negative log-probability of that."""
    assert windows.cce is not None
    return windows.cce


def logit(detector: Detector, windows: WindowOutputs) -> Tensor:
    """[n] negative logit of the clip's own class."""
    assert windows.logits is not None
    return -windows.logits.gather(1, windows.labels.unsqueeze(1)).squeeze(1)


WINDOW_SCORES: dict[str, WindowScore] = {
    "mse": mse, "mse_db": mse_db, "combined": combined, "cce": cce, "logit": logit,
}  # fmt: skip
#: Those that need to know of which class a clip is.
OF_CLASSES = ("combined", "cce", "logit")
#: Those that need a reconstruction.
OF_RECONSTRUCTION = ("mse", "mse_db", "combined")
