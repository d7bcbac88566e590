"""A study: what is searched, under which name; the same search is the same study."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asd.errors import AsdError
from asd.experiment.identity import flat
from asd.search.objectives import selected_on

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import RDBStorage

# The study's user attribute that says what it is for.
_SEARCH = "search"


@dataclass(frozen=True)
class Question:
    """What a study is for; another question is another study.

    Args:
        config: the options that its trials share, without what cannot change a result.
        space: options that vary, and their ranges.
        objectives: their names.
        directions: one each.
        custom: ``custom_search_space``.
    """

    config: dict[str, Any]
    space: dict[str, str]
    objectives: list[str]
    directions: list[str]
    custom: str | None

    @classmethod
    def of(
        cls,
        config: dict[str, Any],
        space: dict[str, str],
        objectives: list[str],
        directions: list[str],
        custom: str | None,
    ) -> Question:
        """From the composed options; ``identity.exclude`` and what varies are left out."""
        left_out = (*config["identity"]["exclude"], *(name.lstrip("+") for name in space))

        def kept(option: str) -> bool:
            return not any(option == name or option.startswith(f"{name}.") for name in left_out)

        fixed = {name: value for name, value in flat(config).items() if kept(name)}
        return cls(
            json.loads(json.dumps(fixed, default=str)), space, objectives, directions, custom
        )

    def as_dict(self) -> dict[str, Any]:
        """All of it as flat plain values."""
        return {
            **self.config,
            **{f"space of {name}": text for name, text in self.space.items()},
            "search.objectives": self.objectives,
            "hydra.sweeper.custom_search_space": self.custom,
        }

    def name(self, base: str) -> str:
        """A study's name: readable, and another one for another question.

        Args:
            base: the sweep's name.
        """
        text = json.dumps(self.as_dict(), sort_keys=True)
        digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
        # It is a folder's name too.
        return re.sub(r"[^\w.-]+", "-", base) + f"-{digest}"


def open_study(storage: RDBStorage, name: str, question: Question, label: str) -> Study:
    """The study, made where it is not there yet; the caller holds ``store.exclusively``.

    Args:
        storage: where.
        name: of the study.
        question: what it is to be for.
        label: what the data is.

    Raises:
        AsdError: a study of this name is there and for something else.
    """
    import optuna

    ways: Any = question.directions
    study = optuna.create_study(
        storage=storage, study_name=name, directions=ways, load_if_exists=True
    )
    ours, known = question.as_dict(), study.user_attrs.get(_SEARCH)
    if known is None and (study.trials or [d.name.lower() for d in study.directions] != (
        question.directions
    )):  # fmt: skip
        raise AsdError(
            f"hydra.sweeper.study_name={name}: there is such a study, and this program did not "
            "make it; choose another name"
        )
    if known is not None and known != ours:
        differ = sorted(k for k in {*known, *ours} if known.get(k) != ours.get(k))
        first = differ[0]
        raise AsdError(
            f"hydra.sweeper.study_name={name}: made for another search: {first} was "
            f"{known.get(first, 'not there')}, now {ours.get(first, 'not there')}"
            + (f" ({len(differ) - 1} more differ)" if len(differ) > 1 else "")
            + "; choose another name, or leave the option out"
        )
    if known is None:
        study.set_user_attr(_SEARCH, ours)
        study.set_user_attr("objectives", question.objectives)
        study.set_user_attr("selected_on", selected_on(question.objectives))
        study.set_user_attr("data", label)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the function is experimental
            study.set_metric_names(question.objectives)
    return study


def build_sampler(config: dict[str, Any], number: int) -> Any:
    """The sampler that proposes trial ``number``.

    Made anew for each trial, with a seed of its own: a search that is resumed, or has several
    workers, would otherwise draw the same numbers again.

    Raises:
        AsdError: Optuna refuses an option of it.
    """
    import numpy as np

    from asd.composition import build

    config = dict(config)
    # A quasi-random sequence is one sequence; the storage knows how far it is.
    if config.get("seed") is not None and not config["_target_"].endswith("QMCSampler"):
        seeds = np.random.SeedSequence([config["seed"], number])
        config["seed"] = int(seeds.generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a sampler is experimental
        return build(config, "hydra.sweeper.sampler")
