"""Where studies are kept: sqlite in the runs' folder, or PostgreSQL for many workers."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from asd.errors import AsdError
from asd.options import check_no_secret

log = logging.getLogger(__name__)

#: What Optuna raises where a storage is away, full or damaged, or its driver not installed.
ERRORS: tuple[type[Exception], ...] = (StorageInternalError, SQLAlchemyError, ImportError)
#: What it raises where a storage holds something else than Optuna wrote, or another version did.
UNREADABLE = (ValueError, LookupError, RuntimeError)
# Seconds that sqlite waits for another process's write, and that PostgreSQL has to answer.
_PATIENCE = {"sqlite": {"timeout": 60}, "postgresql": {"connect_timeout": 10}}


class HeartbeatStorage(RDBStorage):
    """Optuna's, in which a heartbeat that fails is not the last, and numbers have four digits."""

    def _set_trial_param(
        self, trial_id: int, name: str, value: float, distribution: BaseDistribution, *known: Any
    ) -> None:
        """See Optuna, which calls this with what was drawn; it is read back as it is stored."""
        if isinstance(distribution, FloatDistribution) and distribution.step is None:
            value = min(max(float(f"{value:.4g}"), distribution.low), distribution.high)
        super()._set_trial_param(trial_id, name, value, distribution, *known)

    def record_heartbeat(self, trial_id: int) -> None:
        """See Optuna."""
        try:
            super().record_heartbeat(trial_id)
        except (StorageInternalError, SQLAlchemyError):
            log.debug("no heartbeat: the storage does not answer", exc_info=True)


def connect(address: str, dead_after_seconds: int | None = None) -> HeartbeatStorage:
    """Open the storage, with empty tables where there are none; its address holds no password.

    A worker may give no sign of life for ``dead_after_seconds``.
    """
    try:
        url = make_url(address)
        patience = _PATIENCE[url.get_backend_name()]
    except (SQLAlchemyError, KeyError) as error:
        raise AsdError(
            "hydra.sweeper.storage: cannot be used; give sqlite:///FILE or "
            "postgresql://user@HOST/DATABASE"
        ) from error
    check_no_secret("hydra.sweeper.storage", address)
    # Of what Optuna calls experimental, and of epochs that are told again.
    warnings.filterwarnings("ignore", category=ExperimentalWarning)
    warnings.filterwarnings("ignore", module=r"optuna\.|asd\.search")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    options = {"connect_args": patience, "pool_pre_ping": True}
    beat = dead_after_seconds and max(1, dead_after_seconds // 6)
    with reaching(address, *UNREADABLE):
        return HeartbeatStorage(
            address, options, heartbeat_interval=beat, grace_period=dead_after_seconds
        )


@contextmanager
def reaching(url: str, *more: type[Exception]) -> Iterator[None]:
    """An ``AsdError`` for what the storage at this url, without a password, raises in the block.

    ``more`` is ``UNREADABLE`` where it is read and nothing else is done.
    """
    try:
        yield
    except (*ERRORS, *more) as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        raise AsdError(
            f"hydra.sweeper.storage={url}: cannot be used: {reason}; when it can, the same "
            "command goes on"
        ) from error
