"""Optuna's own plots of a study, as PNGs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import optuna.visualization.matplotlib as plots
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from asd.files import replacing
from asd.search.objectives import TEST


def draw(study: Study, folder: Path) -> list[str]:
    """Draw what can be drawn.

    Args:
        study: with metric names and the user attributes ``selected_on`` and ``data``.
        folder: where to.

    Returns:
        A line for each plot that cannot be drawn yet.
    """
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        return ["plots not drawn: no trial has completed"]
    # Its category axes remark on every choice that is a number.
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    plt.switch_backend("Agg")
    title = f"{study.study_name} ({study.user_attrs['data']})"
    if study.user_attrs["selected_on"] == TEST:
        title += "\nSELECTED ON TEST CLIPS"
    skipped = []
    for name, plot in _plots(study).items():
        with plt.rc_context(), warnings.catch_warnings():  # Optuna sets a style of its own
            warnings.simplefilter("ignore")  # that its plots are experimental
            try:
                axes = list(np.ravel(plot()))
                if not any(one.has_data() for one in axes):
                    raise ValueError("too few trials")
                axes[0].figure.suptitle(f"{name}: {title}", y=1.0, va="bottom")
                with replacing(folder / f"{name}.png") as path:
                    axes[0].figure.savefig(path, dpi=110, format="png", bbox_inches="tight")
            except (ValueError, RuntimeError, ImportError) as error:
                skipped.append(f"plot {name} not drawn: {str(error).splitlines()[0]}")
            plt.close("all")
    return skipped


def _plots(study: Study) -> dict[str, Callable[[], Any]]:
    objectives = study.metric_names or []
    result: dict[str, Callable[[], Any]] = {}
    for i, objective in enumerate(objectives):
        about: dict[str, Any] = {"target_name": objective}
        suffix = ""
        if len(objectives) > 1:
            about["target"], suffix = partial(_value, index=i), f"_{objective}"
        result[f"history{suffix}"] = partial(plots.plot_optimization_history, study, **about)
        result[f"importances{suffix}"] = partial(plots.plot_param_importances, study, **about)
        result[f"slice{suffix}"] = partial(plots.plot_slice, study, **about)
    if 1 < len(objectives) <= 3:
        result["pareto_front"] = partial(plots.plot_pareto_front, study)
    if len(objectives) == 1:
        result["epochs"] = partial(plots.plot_intermediate_values, study)
    return result


def _value(trial: FrozenTrial, index: int) -> float:
    return float(trial.values[index])
