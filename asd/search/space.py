"""The search space, in Hydra's syntax: ``trainer.learning_rate=tag(log, interval(1e-4, 1e-2))``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Transformer
from hydra.errors import HydraException
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from asd.composition import option_text
from asd.errors import AsdError


class Space:
    """What is searched: ``fixed`` overrides that all trials share, and ``axes`` that vary.

    Of two overrides with the same name the later counts. An ``AsdError`` says which cannot be read
    or searched, or that nothing is searched.
    """

    def __init__(self, loader: ConfigLoader, arguments: Sequence[str]) -> None:
        parser = OverridesParser.create(config_loader=loader)
        try:
            parsed = {o.get_key_element(): o for o in parser.parse_overrides(list(arguments))}
        except HydraException as error:
            raise AsdError(f"search space: {str(error).splitlines()[0]}") from error
        varied = {name: o for name, o in parsed.items() if o.is_sweep_override()}
        self.fixed = tuple(str(o.input_line) for n, o in parsed.items() if n not in varied)
        self.axes = {name: _distribution(name, override) for name, override in varied.items()}
        if not self.axes:
            raise AsdError(
                "hydra/sweeper=optuna: nothing is searched; give a range to some option, such as "
                "'trainer.learning_rate=tag(log, interval(1e-4, 1e-2))'"
            )

    def suggest(self, trial: Trial) -> tuple[str, ...]:
        """Overrides of a trial: what it has values for keeps them, the rest is sampled."""
        try:
            for name, distribution in self.axes.items():
                trial._suggest(name, distribution)
        except ValueError as error:
            raise AsdError(f"hydra.sweeper.sampler: {error}") from error
        # As they are stored, which is rounded.
        return self.overrides(trial.storage.get_trial(trial._trial_id).params)

    def overrides(self, params: dict[str, Any]) -> tuple[str, ...]:
        """What a user types to run a trial with these values.

        What a storage says of options that nobody searches is left out: a value may name a class.
        """
        known = {name: value for name, value in params.items() if name in self.axes}
        texts = {n: v if isinstance(v, str) else option_text(v) for n, v in known.items()}
        return (*self.fixed, *(f"{name}={text}" for name, text in texts.items()))


def _distribution(name: str, override: Override) -> BaseDistribution:
    value: Any = override.value()
    try:
        if override.is_choice_sweep():
            return _choice(value.list)
        log = "log" in value.tags
        if override.is_interval_sweep():
            return _between(value.start, value.end, None, log)
        # Hydra's range, which ends before its stop.
        listed: list[Any] = sorted(override.sweep_iterator())  # type: ignore[type-var]
        if not listed:
            raise ValueError("the range is empty")
        step = listed[1] - listed[0] if len(listed) > 1 else None
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
