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
from optuna.trial import FrozenTrial

from asd.files import replacing
from asd.search.objectives import TEST

# Inches: of a plot, and more for each option that a plot has a panel for.
_SIZE, _PANEL, _DPI = (8.0, 5.0), 3.2, 110


def draw(study: Study, folder: Path) -> list[str]:
    """Draw what can be drawn.

    Args:
        study: with the user attributes ``objectives``, ``selected_on`` and ``data``.
        folder: where to.

    Returns:
        A line for each plot that cannot be drawn yet.
    """
    # Its category axes remark on every choice that is a number.
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    skipped = []
    plt.switch_backend("Agg")
    for name, plot in _plots(study).items():
        with plt.rc_context(), warnings.catch_warnings():  # Optuna sets a style of its own
            warnings.simplefilter("ignore")  # that its plots are experimental
            try:
                _save(plot(), folder / f"{name}.png", f"{name}: {_title(study)}")
            except (ValueError, RuntimeError, ImportError) as error:
                skipped.append(f"plot {name} not drawn: {str(error).splitlines()[0]}")
            plt.close("all")
    return skipped


def _plots(study: Study) -> dict[str, Callable[[], Any]]:
    objectives = study.user_attrs["objectives"]
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


def _title(study: Study) -> str:
    """Whose trials, of which data, and chosen on what."""
    title = f"{study.study_name} ({study.user_attrs['data']})"
    chosen = "\nSELECTED ON TEST CLIPS" if study.user_attrs["selected_on"] == TEST else ""
    return title + chosen


def _save(drawn: Any, path: Path, title: str) -> None:
    axes = list(np.ravel(drawn))
    if not any(one.has_data() for one in axes):
        raise ValueError("too few trials")
    figure = axes[0].figure
    figure.set_size_inches(max(_SIZE[0], _PANEL * len(axes)), _SIZE[1])
    for one in axes:
        one.set_title("")
        if len(axes) > 1:  # long names of options do not fit under a panel
            one.set_xlabel(one.get_xlabel().rsplit(".", 1)[-1])
    figure.suptitle(title, fontsize=11, y=0.91, va="bottom")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, format="png", bbox_inches="tight")
