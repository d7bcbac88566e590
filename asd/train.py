"""Train, score and log one system: ``python -m asd.train +experiment=ss_0.5``.

What is slow to import (torch, mlflow) is imported after the config has been checked, so that
``--help`` and a mistyped option answer at once.
"""

from __future__ import annotations

import errno
import functools
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

# Idle threads that spin make training beside another busy process 30 times slower. Read by OpenMP
# when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from asd.composition import check, command_of, folder_of, plain, register_resolvers
from asd.errors import AsdError, Pruned, Terminated
from asd.signals import stopped_by
from asd.sweeps.arguments import expand

if TYPE_CHECKING:
    from asd.experiment.run_folder import RunFolder

log = logging.getLogger(__name__)


@functools.cache
def base_config() -> DictConfig:
    """The config that no override has touched, composed by the Hydra that runs, once."""
    loader = GlobalHydra.instance().config_loader()
    base = loader.load_configuration("config", overrides=[], run_mode=RunMode.RUN)
    return OmegaConf.masked_copy(base, [str(key) for key in base if key != "hydra"])


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
    check(cfg)
    overrides = list(HydraConfig.get().overrides.task)
    config, base = plain(cfg), plain(base_config())

    from asd.experiment.identity import delta

    # What a search tells its trials is no part of the command that goes on with one of them.
    passing = ("force=true", "if_running=wait", "search.")
    overrides = [o for o in overrides if not o.startswith(passing)]
    command = command_of(overrides)
    try:
        return _train(config, delta(config, base), overrides)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise AsdError(
                f"{error.filename or 'disk'}: disk full; nothing finished is lost. Free some "
                f"space, then resume with: {command}"
            ) from error
        raise


def _train(
    config: dict[str, object], delta: dict[str, object], overrides: list[str]
) -> float | list[float]:
    from asd.experiment.experiment import Experiment

    command = command_of(overrides)
    experiment = Experiment.of(config, delta, command, in_sweep=not _single())
    _announce(experiment.data_label, overrides)
    from asd.training.preflight import check_model
    from asd.training.run import run

    check_model(experiment)
    resume = f"resume with: {command}"
    try:
        with stopped_by(signal.SIGTERM):
            folder = run(experiment)
    except KeyboardInterrupt:
        log.warning("stopped; nothing finished is lost. %s", resume)
        raise
    except AsdError:
        raise
    except Exception:
        log.error("the run failed; nothing finished is lost. Mend the cause, then %s", resume)
        raise
    if not _single():
        log.info("run folder: %s", folder.path)
        return _objectives(folder, config)
    from asd.evaluate import evaluate

    evaluate([str(folder.path)], None, None, write=False)
    record = folder.record()
    log.info("run folder: %s", folder.path)
    if "mlflow" in record:
        from asd.tracking.mlflow_store import Tracking

        tracking = Tracking.of(config["tracking"])  # type: ignore[arg-type]
        log.info("MLflow run: %s", record["mlflow"]["run_id"])
        if tracking.ui_command is not None:
            log.info("open it:    %s", tracking.ui_command)
    return _objectives(folder, config)


def _objectives(folder: RunFolder, config: dict[str, object]) -> float | list[float]:
    from asd.search.objectives import objective_values

    values = objective_values(folder, config["search"]["objectives"])  # type: ignore[index]
    return values[0] if len(values) == 1 else values


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
    except Terminated:
        sys.exit(143)
    except KeyboardInterrupt:
        sys.exit(130)


def main() -> None:
    """The command-line program."""
    register_resolvers()
    if {"-h", "--help"} & set(sys.argv[1:]):
        from asd.help_page import help_page

        try:
            options = [a for a in sys.argv[1:] if "=" in a]
            print(help_page([o for o in options if not o.lstrip("+").startswith("sweep=")]))
        except HydraException as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        return
    try:
        sys.argv[1:] = expand(sys.argv[1:])
    except AsdError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    hydra.main(version_base="1.3", config_path=str(folder_of("conf")), config_name="config")(
        _task
    )()


if __name__ == "__main__":
    main()
