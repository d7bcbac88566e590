"""The options of ``hydra/sweeper=optuna``, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from asd.errors import AsdError
from asd.options import check_number, check_whole


@dataclass(frozen=True)
class SearchOptions:
    """See ``conf/hydra/sweeper/optuna.yaml``, whose names and defaults these are.

    Raises:
        AsdError: a value cannot be used.
    """

    sampler: dict[str, Any]
    pruner: dict[str, Any]
    storage: str | None
    study_name: str | None
    n_trials: int
    max_failure_rate: float
    failure_grace: int
    params: dict[str, Any] | None
    custom_search_space: str | None
    heartbeat_seconds: int
    dead_after_seconds: int

    def __post_init__(self) -> None:
        for name in ("n_trials", "failure_grace", "heartbeat_seconds"):
            check_whole(f"hydra.sweeper.{name}", getattr(self, name), 1)
        check_number("hydra.sweeper.max_failure_rate", self.max_failure_rate, 0, 1)
        # Between two heartbeats nobody is dead.
        least = 2 * self.heartbeat_seconds
        check_whole("hydra.sweeper.dead_after_seconds", self.dead_after_seconds, least)
        if self.study_name is not None and not re.fullmatch(r"[\w.-]+", str(self.study_name)):
            raise AsdError(
                f"hydra.sweeper.study_name={self.study_name}: names a folder too; use letters, "
                "digits, '.', '_' and '-'"
            )
