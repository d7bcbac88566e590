"""Optuna's own plots of a study, as PNGs."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.search.objectives import TEST

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

_DPI = 110
# Trials that a legend has room for.
_NAMED = 15
# Inches: of a plot, and more for each option that a plot has a panel for.
_SIZE, _PANEL = (8.0, 5.0), 3.2


def draw(study: Study, folder: Path) -> tuple[list[Path], list[str]]:
    """Draw what can be drawn.

    Args:
        study: with the user attributes ``objectives``, ``selected_on`` and ``data``.
        folder: where to.

    Returns:
        The PNGs, and a line for each plot that cannot be drawn yet.
    """
    import optuna.visualization.matplotlib as plots

    # Its category axes remark on every choice that is a number.
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    objectives = list(study.user_attrs["objectives"])
    done: list[Path] = []
    skipped: list[str] = []

    def one(name: str, make: Callable[[], Any], what: str) -> None:
        try:
            with _own_figures() as close:
                axes = make()
                if _is_empty(axes):
                    raise ValueError("too few trials")
                done.append(_save(axes, folder / f"{name}.png", _title(study, what)))
                close()
        except (ValueError, RuntimeError, ImportError) as error:
            said = str(error).splitlines() or [type(error).__name__]
            skipped.append(f"plot {name} not drawn: {said[0]}")

    if not _completed(study):
        return [], ["plots not drawn: no trial has completed"]
    several = len(objectives) > 1
    for i, objective in enumerate(objectives):
        suffix = f"_{objective}" if several else ""
        about: dict[str, Any] = {"target_name": objective}
        if several:
            about["target"] = partial(_value, at=i)
        for name, plot, what in (
            ("history", plots.plot_optimization_history, f"{objective}, trial by trial"),
            ("importances", plots.plot_param_importances, f"what {objective} depends on"),
            ("slice", plots.plot_slice, f"{objective} by option"),
        ):
            one(f"{name}{suffix}", partial(plot, study, **about), what)
    if several and len(objectives) <= 3:
        one("pareto_front", lambda: plots.plot_pareto_front(study), "trials that none beats in all")
    if any(trial.intermediate_values for trial in study.get_trials(deepcopy=False)):
        one("epochs", partial(_epochs, study), "trials, epoch by epoch")
    return done, skipped


def _value(trial: FrozenTrial, at: int) -> float:
    return float(trial.values[at])


def _epochs(study: Study) -> Any:
    """What trials reported. A first epoch is often far off, hence the logarithm."""
    import optuna.visualization.matplotlib as plots

    axes = plots.plot_intermediate_values(study)
    axes.set_xlabel("epoch")
    axes.set_ylabel(study.user_attrs["objectives"][0])
    trials = study.get_trials(deepcopy=False)
    if all(value > 0 for trial in trials for value in trial.intermediate_values.values()):
        axes.set_yscale("log")
    legend = axes.get_legend()
    if legend is not None and len(trials) > _NAMED:
        legend.remove()
    return axes


def _title(study: Study, what: str) -> str:
    """What is shown, of which data, and chosen on what."""
    title = f"{what}\n{study.study_name} ({study.user_attrs['data']})"
    if study.user_attrs["selected_on"] == TEST:
        title += "\nSELECTED ON TEST CLIPS"
    return title


def _completed(study: Study) -> bool:
    from optuna.trial import TrialState

    return bool(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


@contextmanager
def _own_figures() -> Iterator[Callable[[], None]]:
    """Optuna draws by pyplot: without windows, its style and figures gone afterwards."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    before = set(plt.get_fignums())
    backend = mpl.get_backend()

    def close() -> None:
        for number in set(plt.get_fignums()) - before:
            plt.close(number)

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the plots are experimental
        plt.switch_backend("Agg")
        try:
            yield close
        finally:
            close()
    plt.switch_backend(backend)


def _figure_axes(axes: Any) -> list[Any]:
    import numpy as np

    return list(np.ravel(axes))


def _is_empty(axes: Any) -> bool:
    return not any(a.has_data() for a in _figure_axes(axes))


def _save(axes: Any, path: Path, title: str) -> Path:
    from matplotlib.ticker import MaxNLocator

    every = _figure_axes(axes)
    figure = every[0].figure
    figure.set_size_inches(max(_SIZE[0], _PANEL * len(every)), _SIZE[1])
    for one in every:
        if one.get_xlabel() in ("Trial", "epoch"):
            one.xaxis.set_major_locator(MaxNLocator(integer=True))
        for place in ("left", "center", "right"):
            one.set_title("", loc=place)
        if len(every) > 1:  # long names of options do not fit under a panel
            one.set_xlabel(one.get_xlabel().rsplit(".", 1)[-1])
    figure.suptitle(title, fontsize=11, y=0.91, va="bottom")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.stem}.{os.getpid()}.partial")
    figure.savefig(temporary, dpi=_DPI, format="png", bbox_inches="tight")
    temporary.replace(path)
    return path
