"""The options of ``hydra/sweeper=optuna``, checked."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from asd.errors import AsdError
from asd.options import check_choice


@dataclass(frozen=True)
class SearchOptions:
    """See ``conf/hydra/sweeper/optuna.yaml``, whose names these are."""

    sampler: dict[str, Any]
    pruner: dict[str, Any]
    direction: str | list[str] | None
    storage: str | None
    study_name: str | None
    n_trials: int
    n_jobs: int | None
    max_failure_rate: float
    failure_grace: int
    params: dict[str, Any]
    custom_search_space: str | None
    heartbeat_seconds: float
    dead_after_seconds: float

    @classmethod
    def of(cls, given: dict[str, Any]) -> SearchOptions:
        """From the config node.

        Raises:
            AsdError: there is no such option, or a value cannot be used.
        """
        names = [field.name for field in fields(cls)]
        for name in given:
            check_choice("hydra.sweeper", name, tuple(names))
        return cls(**{**given, "params": given["params"] or {}})

    def __post_init__(self) -> None:
        for name, optional in (("n_trials", False), ("n_jobs", True), ("failure_grace", False)):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
            if not whole and not (optional and value is None):
                raise AsdError(f"hydra.sweeper.{name}={value}: must be a whole number from 1")
        if not _is_number(self.max_failure_rate) or not 0 <= self.max_failure_rate <= 1:
            raise AsdError(
                f"hydra.sweeper.max_failure_rate={self.max_failure_rate}: must be a number from 0 "
                "to 1"
            )
        beat, dead = self.heartbeat_seconds, self.dead_after_seconds
        if not _is_number(beat) or not _is_number(dead) or not 0 < 2 * beat <= dead:
            raise AsdError(
                f"hydra.sweeper.heartbeat_seconds={beat} and dead_after_seconds={dead}: must be "
                "numbers above 0, the second at least twice the first"
            )
        for part in ("sampler", "pruner"):
            if "_target_" not in (getattr(self, part) or {}):
                raise AsdError(
                    f"hydra.sweeper.{part}: needs the _target_ of an Optuna {part}; choose "
                    f"hydra/sweeper/{part}=NAME"
                )

    @property
    def space_arguments(self) -> list[str]:
        """``params`` as overrides."""
        return [f"{name}={value}" for name, value in self.params.items()]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
