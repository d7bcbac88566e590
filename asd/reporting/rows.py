"""Which runs make a row: those whose settings are exactly a preset's; others make their own.

Settings are compared, not names: a run of ``+experiment=u`` with half the filters fills the row of
``u_half``, and one with other epochs is no "U" but "U, max_epochs 5".
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from asd.composition import command_of, option_text, plain, search_path
from asd.errors import AsdError
from asd.experiment.identity import MISSING, departures, settings
from asd.experiment.run_labels import options_of, preset, system_label
from asd.reporting.bootstrap import Resampling
from asd.reporting.declaration import Rows
from asd.reporting.runs import Run
from asd.reporting.systems import System

# Of a run's command, what is of that run alone.
_OWN = ("seed", "force", "if_running", "sweep.name")


class RowFinder:
    """Sorts the runs of one corpus and scale into rows.

    Args:
        runs: at least one, oldest first.

    Attributes:
        start: the corpus and the scale whose presets the rows are, as typed.
        data: options of the corpus: today's defaults where a run has them, else those of most runs.
        data_departures: those of them that are no defaults, as overrides.
        usual_fpr: today's default of ``scoring.max_fpr``.

    Raises:
        AsdError: the runs' corpus or scale is not known here.
    """

    def __init__(self, runs: Sequence[Run], max_fpr: float, resampling: Resampling) -> None:
        self.runs, self._how = runs, (max_fpr, resampling)
        self._typed = [shlex.split(run.command) for run in runs]
        last = {**runs[-1].tags, **options_of(runs[-1].command)}
        self.start = {name: last[name] for name in ("data", "scale")}
        self._search = search_path(self._typed[-1])
        try:
            base = plain(preset([*_overrides(self.start), *self._search]))
        except AsdError as error:
            of = " ".join(_overrides(self.start))
            raise AsdError(f"runs of {of}: not known here, leave them out: {error}") from error
        self.usual_fpr = float(base["scoring"]["max_fpr"])
        self._excluded = base["identity"]["exclude"]
        own = ("seed", "scale", "scoring.max_fpr")  # the report computes pAUC with a p of its own
        self._rules = {**base["identity"], "exclude": [*self._excluded, *own]}
        data = [self._key({**base, "data": run.config["data"]}) for run in runs]
        rank = [(key == self._key(base), data.count(key), i) for i, key in enumerate(data)]
        self.data: dict[str, Any] = runs[max(rank)[-1]].config["data"]
        differ = departures({**base, "data": self.data}, base)
        given = {name: value for name, value in differ.items() if value != MISSING}
        self.data_departures = [*_overrides(given), *(f"~{n}" for n in differ if n not in given)]

    def rows(self, declared: Rows) -> list[System]:
        """The rows declared, then a row for all else; ``AsdError``: options do not compose."""
        # By settings, then by training clips; of several the most seeds first, then the latest.
        groups: dict[str, dict[str, list[Run]]] = {}
        for run in self.runs:
            of_settings = groups.setdefault(self._key(run.config), {})
            of_settings.setdefault(str(run.record.get("data_hash")), []).append(run)
        ordered = {key: sorted(of.items(), key=_rank) for key, of in groups.items()}
        rows, taken = [], set()
        for label, options in declared.items():
            typed = [*_overrides({**self.start, **options}), *self._search]
            config = plain(preset(typed, data=self.data))
            taken.add(key := self._key(config))
            names = (str(options.get("experiment", label)), config["system"])
            rows.append(self._row(label, ordered[key][0][1] if key in ordered else [], names))
        for key, of in ordered.items():
            for clips, runs in of[1:] if key in taken else of:
                label, also = self._own_label(runs)
                if clips != of[0][0]:
                    label += f", other training clips ({clips[:6]})"
                while label in [row.label for row in rows]:
                    label += f" ({runs[-1].tags['experiment']})"
                rows.append(self._row(label, runs, also))
        self._add_commands(rows[: len(declared)], declared)
        return rows

    def find(self, name: str, systems: Iterable[System]) -> System | None:
        """That of what is typed, such as ``u trainer.batch_size=16``, if there is one."""
        words = [w if "=" in w else f"+experiment={w}" for w in shlex.split(name)]
        typed = [*_overrides(self.start), *words, *self._search]
        key = self._key(plain(preset(typed, data=self.data)))
        return next((of for of in systems if self._key(of.runs[0].config) == key), None)

    def _key(self, config: dict[str, Any]) -> str:
        """Settings as text, by today's rules of what can change a result."""
        kept = settings({**config, "identity": self._rules})
        return json.dumps(kept, sort_keys=True, default=str)

    def _own_label(self, runs: list[Run]) -> tuple[str, tuple[str, ...]]:
        """The shortest of the runs', and other names by which it may be asked for."""
        labels: dict[str, tuple[str, ...]] = {}
        for run in {re.sub(r" seed=\d+", "", run.command): run for run in runs}.values():
            given = {"data": self.data, "scoring.max_fpr": run.config["scoring"]["max_fpr"]}
            system, experiment = run.tags["system"], run.tags["experiment"]
            try:
                label = system_label(run.config, run.command, **given)
            except AsdError:  # what the command names is not there any more
                label = f"{system} ({experiment})"
            labels[label] = (experiment, system) if label == system else ()
        label = min(labels, key=len)
        return label, labels[label]

    def _row(self, label: str, candidates: list[Run], names: tuple[str, ...]) -> System:
        """Of one run a seed, the latest."""
        by_seed = {run.seed: run for run in candidates}
        runs = [by_seed[seed] for seed in sorted(by_seed)]
        row = System(label, runs, *self._how, names)
        if again := [run.folder.name for run in candidates if run not in runs]:
            row.notes.append(f"of runs that differ in nothing the latest; not {', '.join(again)}")
        mixed = {
            "commits": [run.commit[:7] for run in runs],
            "thread counts": [run.threads or "unknown" for run in runs],
        }
        for what, values in mixed.items():
            if len(different := list(dict.fromkeys(values))) > 1:
                row.notes.append(f"trainings of {len(different)} {what}: {'; '.join(different)}")
        if old := [run.folder.name for run in runs if not run.is_of_this_code]:
            row.notes.append(f"OLDER CODE, which computes otherwise than today's: {', '.join(old)}")
        if unseen := dict.fromkeys(name for run in runs for name in run.unseen):
            row.notes.append(f"never trained on {', '.join(unseen)}")
        if any(run.tags.get("selected_on") == "test clips" for run in runs):
            row.notes.append("SELECTED ON TEST CLIPS by a search")
        if stuck := [run for run in runs if run.not_converged]:
            models = ", ".join(dict.fromkeys(name for run in stuck for name in run.not_converged))
            many = f"{len(stuck)} of {len(runs)} trainings not converged"
            row.notes.append(f"{many} ({models}): still getting better when they ended")
        return row

    def _add_commands(self, rows: list[System], declared: Rows) -> None:
        """What trains the seeds that a row lacks, those of any row."""
        seeds = sorted({run.seed for run in self.runs})
        # What all were given of where data, features and runs are, and where they are logged.
        excluded = (*(f"{name}." for name in self._excluded), "hydra.searchpath.")
        names = {word: word.lstrip("+").split("=")[0] for word in self._typed[-1]}
        known = [w for w, name in names.items() if f"{name}.".startswith(excluded)]
        shared = [w for w in known if names[w] not in _OWN and all(w in of for of in self._typed)]
        for row in rows:
            if lacking := [str(seed) for seed in seeds if seed not in row.seeds]:
                options = {**declared[row.label], "seed": ",".join(lacking), **self.start}
                words = [*_overrides({**options, **declared[row.label]}), *self.data_departures]
                row.command = command_of([*(["-m"] * (len(lacking) > 1)), *words, *shared])


def _rank(group: tuple[str, list[Run]]) -> tuple[int, float]:
    runs = group[1]
    return -len({run.seed for run in runs}), -runs[-1].finished


def _overrides(options: dict[str, Any]) -> list[str]:
    """As typed; texts are."""
    return [
        f"{'+' * (name == 'experiment')}{name}={v if isinstance(v, str) else option_text(v)}"
        for name, v in options.items()
    ]
