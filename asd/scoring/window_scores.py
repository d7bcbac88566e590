"""How what a detector makes of a window becomes its anomaly score, or that of each of its frames.

A clip's is what ``scoring.pooling`` makes of them.

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
    return windows.mse


def frame_mse(detector: Detector, windows: WindowOutputs) -> Tensor:
    """[n, frames] mean squared error of each frame, in the standardised domain."""
    return windows.squares.mean(2)


def mse_db(detector: Detector, windows: WindowOutputs) -> Tensor:
    """[n] mean squared error in decibels: each band weighs by its variance."""
    return (windows.squares * detector.standardiser.std.square()).flatten(1).mean(1)


def combined(detector: Detector, windows: WindowOutputs) -> Tensor:
    """[n] alpha MSE + beta CCE, the CCE against the clip's own class (the paper's eq. 1)."""
    score: Tensor = detector.loss.combine(windows.mse, windows.cce)
    return score


def cce(detector: Detector, windows: WindowOutputs) -> Tensor:
    """[n] cross entropy against the clip's own class: the negative log-probability of that."""
    return windows.cce


def logit(detector: Detector, windows: WindowOutputs) -> Tensor:
    """[n] negative logit of the clip's own class."""
    return -windows.logits.gather(1, windows.labels.unsqueeze(1)).squeeze(1)


WINDOW_SCORES: dict[str, WindowScore] = {
    "mse": mse, "frame_mse": frame_mse, "mse_db": mse_db, "combined": combined, "cce": cce,
    "logit": logit,
}  # fmt: skip
#: Those that a window has several of.
OF_FRAMES = ("frame_mse",)
#: Those that need to know of which class a clip is.
OF_CLASSES = ("combined", "cce", "logit")
#: Those that need a reconstruction, clip vectors too.
OF_RECONSTRUCTION = ("mse", "frame_mse", "mse_db", "combined", "residual", "error_statistics")
