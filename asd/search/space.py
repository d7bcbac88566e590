"""The search space, in Hydra's syntax: ``trainer.learning_rate=tag(log, interval(1e-4, 1e-2))``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Transformer
from hydra.errors import HydraException
from omegaconf import DictConfig
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from asd.composition import function_of
from asd.errors import AsdError


@dataclass(frozen=True)
class Space:
    """What is searched.

    Args:
        fixed: overrides that all trials share.
        axes: options that vary, with their distributions.
        extend: suggests more, which may depend on them (``hydra.sweeper.custom_search_space``).
    """

    fixed: tuple[str, ...]
    axes: dict[str, BaseDistribution]
    extend: Callable[[DictConfig, Trial], object] | None = None

    @classmethod
    def of(cls, loader: ConfigLoader, arguments: Sequence[str], extend: str | None = None) -> Space:
        """From overrides; of two with the same name the later counts.

        Args:
            loader: Hydra's.
            arguments: the overrides.
            extend: dotted name of a function of the config and the trial.

        Raises:
            AsdError: an override cannot be read or searched, or nothing is searched.
        """
        parser = OverridesParser.create(config_loader=loader)
        try:
            parsed = {o.get_key_element(): o for o in parser.parse_overrides(list(arguments))}
        except HydraException as error:
            raise AsdError(f"search space: {str(error).splitlines()[0]}") from error
        fixed = tuple(str(o.input_line) for o in parsed.values() if not o.is_sweep_override())
        axes = {k: _distribution(o) for k, o in parsed.items() if o.is_sweep_override()}
        if not axes and extend is None:
            raise AsdError(
                "hydra/sweeper=optuna: nothing is searched; give a range to some option, such as "
                "'trainer.learning_rate=tag(log, interval(1e-4, 1e-2))'"
            )
        option = "hydra.sweeper.custom_search_space"
        return cls(fixed, axes, function_of(extend, option) if extend else None)

    def suggest(self, config: DictConfig, trial: Trial) -> tuple[str, ...]:
        """Overrides of a trial: what it has values for keeps them, the rest is sampled.

        Raises:
            AsdError: the sampler cannot sample this.
        """
        try:
            for name, distribution in self.axes.items():
                trial._suggest(name, distribution)
            if self.extend is not None:
                self.extend(config, trial)
        except ValueError as error:
            raise AsdError(f"hydra.sweeper.sampler: {error}") from error
        return self.overrides(trial.params)

    def overrides(self, params: dict[str, Any]) -> tuple[str, ...]:
        """What a user types to run a trial with these values."""
        return (*self.fixed, *(f"{name}={as_text(value)}" for name, value in params.items()))


def as_text(value: Any) -> str:
    """A sampled value in the syntax of overrides; texts are in it already.

    >>> [as_text(v) for v in (True, None, 8, 1e-05, "[8,16]")]
    ['true', 'null', '8', '1e-05', '[8,16]']
    """
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return value if isinstance(value, str) else repr(value)


def _distribution(override: Override) -> BaseDistribution:
    name, value = override.get_key_element(), override.value()
    try:
        if override.is_choice_sweep():
            return _choice(value.list)  # type: ignore[union-attr]
        log = "log" in value.tags  # type: ignore[union-attr]
        if override.is_interval_sweep():
            return _between(value.start, value.end, None, log)  # type: ignore[union-attr]
        # Hydra's range, which ends before its stop.
        listed = sorted(override.sweep_iterator())  # type: ignore[type-var]
        if not listed:
            raise ValueError("the range is empty")
        step = listed[1] - listed[0] if len(listed) > 1 else None  # type: ignore[operator]
        return _between(listed[0], listed[-1], step, log)
    except (ValueError, TypeError) as error:
        raise AsdError(f"{override.input_line}: cannot search {name}: {error}") from error


def _between(low: Any, high: Any, step: Any, log: bool) -> BaseDistribution:
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log, step=step or 1)
    return FloatDistribution(float(low), float(high), log=log, step=step and round(step, 12))


def _choice(elements: Iterable[Any]) -> BaseDistribution:
    """Numbers stay numbers, so that plots order them; the rest is text as overrides write it."""
    plain = (type(None), bool, int, float)
    return CategoricalDistribution(
        [e if isinstance(e, plain) else str(Transformer.encode(e)) for e in elements]
    )
