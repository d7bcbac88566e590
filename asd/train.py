"""Train, score and log one system: ``python -m asd.train +experiment=ss_0.5``.

What is slow to import (torch, mlflow) is imported after the config has been checked, so that
``--help`` and a mistyped option answer at once.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from typing import TYPE_CHECKING

# Idle threads that spin make training beside another busy process 30 times slower. Read by OpenMP
# when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from asd.composition import (
    command_of,
    folder_of,
    plain,
    register_resolvers,
    search_path,
)
from asd.errors import AsdError, Pruned, Terminated
from asd.exit_status import program
from asd.experiment.schema import refusal
from asd.secrets import redacted
from asd.signals import ENDINGS, stopped_by
from asd.sweeps.arguments import expand

if TYPE_CHECKING:
    from asd.experiment.experiment import Experiment
    from asd.experiment.listener import RunListener

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> float | list[float]:
    """One run, as composed.

    Returns:
        What ``search.objectives`` names, a list if it is several. By default the validation loss
        of the weights that score (mean over the run's models): what a search may minimise without
        looking at a test clip.

    Raises:
        AsdError: the input cannot be used.
        Pruned: a search gave the run up.
    """
    from asd.experiment.experiment import Experiment
    from asd.search.objectives import check_objectives

    config = plain(cfg)
    # What a search tells its trials is no part of the command that goes on with one of them.
    passing = ("force=true", "if_running=wait", "search.")
    given = HydraConfig.get().overrides
    overrides = [*search_path(given.hydra), *(o for o in given.task if not o.startswith(passing))]
    command = command_of(overrides)
    experiment = Experiment.of(config, command)
    check_objectives(config["search"]["objectives"])
    _announce(experiment.data_label, overrides)
    try:
        return _train(experiment)
    except KeyboardInterrupt:
        log.warning("stopped; nothing finished is lost. resume with: %s", command)
        raise
    except AsdError:
        raise
    except Exception as error:
        lost = f"nothing finished is lost; mend it, then resume with: {command}"
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise AsdError(f"{error.filename or 'disk'}: disk full; {lost}") from error
        log.error("the run failed; %s", lost)
        raise


def _train(experiment: Experiment) -> float | list[float]:
    from asd.search.objectives import objective_values

    listeners = _listeners(experiment)
    from asd.training.run import run

    with stopped_by(*ENDINGS):
        folder, metrics = run(experiment, listeners)
    record = folder.record()
    if _single():
        from asd.scoring.tables import remarks, show

        show(metrics, experiment.title, **remarks(record, folder.path))
    log.info("run folder: %s", folder.path)
    if _single() and "mlflow" in record:
        from asd.tracking.mlflow_store import Tracking

        log.info("MLflow run: %s", record["mlflow"]["run_id"])
        if (tracking := Tracking.of(experiment.config["tracking"])).embedded:
            log.info("open it:    python -m mlflow ui --backend-store-uri %s", tracking.uri)
    values = objective_values(folder, metrics, experiment.config)
    return values[0] if len(values) == 1 else values


def _listeners(experiment: Experiment) -> list[RunListener]:
    """Who is told how the run goes. The tracker comes last: it copies what the others leave."""
    from asd.composition import build
    from asd.tracking.mlflow_store import Tracking

    config = experiment.config
    pictures = build(config["pictures"], "pictures")
    tracking = Tracking.of(config["tracking"], experiment.tracking_name)
    from asd.search.pruning import PruningListener

    listeners: list[RunListener] = [PruningListener(config)]
    for name, node in config["listeners"].items():
        listeners.append(build(node, f"listeners.{name}"))
    if experiment.proxy.faults:
        from asd.training.proxy_listener import ProxyListener

        listeners.append(ProxyListener(experiment))
    if pictures.enabled:
        from asd.pictures.run_pictures import PictureListener

        listeners.append(PictureListener(pictures, experiment.frontend, not _single()))
    if tracking.enabled:
        from asd.tracking.mlflow_listener import MlflowListener

        listeners.append(MlflowListener(tracking))
    return listeners


def _single() -> bool:
    """Whether this is one run, not one of a sweep."""
    return bool(HydraConfig.get().mode == RunMode.RUN)


def _announce(label: str, overrides: list[str]) -> None:
    """One loud line where the numbers are not those of real machines."""
    if "SIMULATED" not in label and "demo" not in label:
        return
    kept = [o for o in overrides if not o.lstrip("+~").startswith(("data", "scale", "paths."))]
    log.warning(
        "*** %s: these numbers say nothing of real machines. The paper's data and scale: %s ***",
        label,
        command_of([*kept, "data=dcase2020"]),
    )


def _task(cfg: DictConfig) -> float | list[float]:
    """What Hydra calls. A user's mistake ends one run without a traceback."""
    try:
        return train(cfg)
    except Pruned:
        raise
    except AsdError as error:
        log.error("error: %s", error)
        if _single():
            sys.exit(2)
        raise


def main() -> None:
    """The command-line program."""
    register_resolvers()
    try:
        if {"-h", "--help"} & set(sys.argv[1:]):  # says the options of one run
            sys.argv[1:] = [a for a in sys.argv[1:] if not a.lstrip("+").startswith("sweep=")]
        sys.argv[1:] = expand(sys.argv[1:])
        os.environ["HYDRA_FULL_ERROR"] = "1"  # we say what Hydra raises
        conf = str(folder_of("conf"))
        hydra.main(version_base="1.3", config_path=conf, config_name="config")(_task)()
    except KeyboardInterrupt as stopped:
        sys.exit(128 + stopped.args[0] if isinstance(stopped, Terminated) else 130)
    except (AsdError, HydraException, OmegaConfBaseException, ValueError) as error:
        if isinstance(error, ValueError) and not str(error).startswith("Config group override"):
            raise  # a fault of ours, not of Hydra's reading
        said = refusal(error)
        if isinstance(error, ValueError):
            said += "; a group is chosen by the name of one of its files, such as loss=mse"
        print(f"error: {redacted(said)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    program(main)
