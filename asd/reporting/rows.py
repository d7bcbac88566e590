"""Which runs make a row: those whose settings are exactly a preset's; others make their own.

Settings are compared, not names: a run of ``+experiment=u`` with half the filters fills the row of
``u_half``, and one with other epochs is no "U" but "U, max_epochs 5".
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from asd.composition import command_of, option_text, plain
from asd.errors import AsdError
from asd.experiment.identity import departures, settings
from asd.experiment.run_labels import is_of_today, options_of, preset, system_label
from asd.reporting.declaration import Rows
from asd.reporting.runs import Run

# Of a run's command, what is of that run alone or has no say in another.
_OWN = ("seed", "force", "if_running", "experiment", "sweep.name", "data", "scale")


@dataclass
class Row:
    """A row of a table, and what a reader must know of it.

    Args:
        label: its name.
        names: others by which it may be asked for: the preset and its system.
        runs: one a seed; none: it is missing.
        command: that trains the seeds which it lacks; empty: none.
        notes: on its runs.
    """

    label: str
    names: tuple[str, ...] = ()
    runs: list[Run] = field(default_factory=list)
    command: str = ""
    notes: list[str] = field(default_factory=list)


class RowFinder:
    """Sorts the runs of one corpus and scale into rows.

    Args:
        runs: at least one, oldest first.

    Attributes:
        data: options of the corpus that the rows are of: today's defaults where a run has them,
            else those of most runs.
        data_departures: those of them that are no defaults, as overrides.
        max_fpr: today's default.
        left_out: trials of searches that make no row.

    Raises:
        AsdError: the runs' corpus or scale is not known here.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs
        first = options_of(runs[-1].command)
        self._start = [f"{name}={runs[-1].tags[name]}" for name in ("data", "scale")]
        if "hydra.searchpath" in first:
            self._start.append(f"hydra.searchpath={first['hydra.searchpath']}")
        self._base = plain(preset(self._start))
        counted = Counter(self._key({**self._base, "data": run.config["data"]}) for run in runs)
        of_most = max(counted, key=lambda key: (key == self._key(self._base), counted[key]))
        self.data: dict[str, Any] = next(
            run.config["data"]
            for run in reversed(runs)
            if self._key({**self._base, "data": run.config["data"]}) == of_most
        )
        differ = departures({**self._base, "data": self.data}, self._base)
        names = dict.fromkeys(name.split(".")[1] for name in differ)
        self.data_departures = [
            f"data.{name}={option_text(self.data[name])}" for name in names if name in self.data
        ]
        self.max_fpr = float(self._base["scoring"]["max_fpr"])
        self.left_out: list[Run] = []
        # By settings and clips: repetitions, which differ in the seed.
        self._groups: dict[tuple[str, str], list[Run]] = {}
        for run in runs:
            key = self._key(run.config), str(run.record.get("data_hash"))
            self._groups.setdefault(key, []).append(run)

    def _key(self, config: dict[str, Any]) -> str:
        """Settings as text. The report computes pAUC with a p of its own."""
        exclude = [*self._base["identity"]["exclude"], "seed", "scale", "scoring.max_fpr"]
        kept = settings({**config, "identity": {"exclude": exclude}})
        return json.dumps(kept, sort_keys=True, default=str)

    def rows(self, declared: Rows, trials: bool) -> list[Row]:
        """The rows declared, then a row for all else that was run.

        Args:
            declared: label -> the options of its preset.
            trials: whether trials of searches make rows too.

        Raises:
            AsdError: a row's options do not compose.
        """
        rows, taken, known = [], set(), set()
        for label, options in declared.items():
            typed = _overrides(options)
            start = [option for option in self._start if option.split("=")[0] not in options]
            config = plain(preset([*start, *typed], data=self.data))
            names = tuple(str(options[n]) for n in ("experiment",) if n in options)
            row = Row(label, (*names, config["system"]))
            known.add(key := self._key(config))
            if found := [group for group in self._groups if group[0] == key]:
                newest = max(found, key=lambda g: (_seeds(self._groups[g]), _last(self._groups[g])))
                taken.add(newest)
                self._fill(row, self._groups[newest])
            rows.append(row)
        for group, runs in self._groups.items():
            if group in taken:
                continue
            if not trials and all("trial" in run.tags for run in runs):
                self.left_out += runs
                continue
            other_clips = f", other training clips ({group[1][:6]})" if group[0] in known else ""
            known.add(group[0])
            row = min((self._own_row(run) for run in _by_command(runs)), key=lambda r: len(r.label))
            row.label = _not_one_of([row.label for row in rows], row.label + other_clips, runs[-1])
            self._fill(row, runs)
            rows.append(row)
        self._add_commands(rows, declared)
        return rows

    def _own_row(self, run: Run) -> Row:
        try:
            given = {"data": self.data, "scoring.max_fpr": run.config["scoring"]["max_fpr"]}
            label = system_label(run.config, run.command, **given)
        except AsdError:  # what the command names is not there any more
            label = f"{run.tags['system']} ({run.tags['experiment']})"
        names = (run.tags["experiment"], label) if label == run.tags["system"] else ()
        older = "" if is_of_today(run.config, run.command) else " (older config)"
        return Row(f"{label}{older}", names)

    def _fill(self, row: Row, runs: list[Run]) -> None:
        """One run a seed, the latest."""
        by_seed = {run.seed: run for run in runs}
        row.runs = [by_seed[seed] for seed in sorted(by_seed)]
        if again := [run.folder.name for run in runs if run is not by_seed[run.seed]]:
            row.notes.append(f"of runs that differ in nothing the latest; not {', '.join(again)}")
        mixed = {
            "commits": [str(r.tags.get("mlflow.source.git.commit"))[:7] for r in row.runs],
            "versions of the code": [_text(run.record.get("versions")) for run in row.runs],
            "thread counts": [_text(run.record.get("threads")) for run in row.runs],
        }
        for what, values in mixed.items():
            if len(different := list(dict.fromkeys(values))) > 1:
                row.notes.append(f"trainings of {len(different)} {what}: {'; '.join(different)}")
        if any(run.tags.get("selected_on") == "test clips" for run in row.runs):
            row.notes.append("SELECTED ON TEST CLIPS by a search")
        if stuck := [run for run in row.runs if run.not_converged]:
            models = ", ".join(dict.fromkeys(name for run in stuck for name in run.not_converged))
            many = f"{len(stuck)} of {len(row.runs)} trainings not converged"
            row.notes.append(f"{many} ({models}): still getting better when they ended")

    def _add_commands(self, rows: list[Row], declared: Rows) -> None:
        """What trains the seeds that a declared row lacks, those of any row."""
        seeds = sorted({run.seed for row in rows for run in row.runs}) or [0]
        exclude = tuple(f"{name}." for name in self._base["identity"]["exclude"])
        typed = [shlex.split(run.command) for run in self.runs]
        # Where data, features and runs are, and where they are logged.
        shared = [
            word
            for word in typed[-1]
            if "=" in word and all(word in words for words in typed)
            if (name := word.lstrip("+").split("=")[0]) not in _OWN
            if f"{name}.".startswith((*exclude, "hydra.searchpath"))
        ]
        for row in rows[: len(declared)]:
            has = {run.seed for run in row.runs}
            options = declared[row.label]
            if lacking := [str(seed) for seed in seeds if seed not in has]:
                own = [
                    f"{'+' * (n == 'experiment')}{n}={option_text(v)}" for n, v in options.items()
                ]
                start = [o for o in self._start[:2] if o.split("=")[0] not in options]
                words = [*own, f"seed={','.join(lacking)}", *start, *self.data_departures, *shared]
                row.command = command_of([*(["-m"] if len(lacking) > 1 else []), *words])


def _overrides(options: dict[str, Any]) -> list[str]:
    return [f"{'+' * (n == 'experiment')}{n}={option_text(v)}" for n, v in options.items()]


def _by_command(runs: list[Run]) -> list[Run]:
    """One run of each command but for the seed."""
    words = [[w for w in shlex.split(run.command) if w[:5] != "seed="] for run in runs]
    return list({tuple(of): run for of, run in zip(words, runs, strict=True)}.values())


def _seeds(runs: list[Run]) -> int:
    return len({run.seed for run in runs})


def _last(runs: list[Run]) -> float:
    return max(run.finished for run in runs)


def _text(value: Any) -> str:
    return json.dumps(value).replace('"', "").strip("{}") if value else "unknown"


def _not_one_of(labels: list[str], label: str, run: Run) -> str:
    """The label, with what tells it from those that there are."""
    numbered = (f"{label} ({run.tags['experiment']}, {n})" for n in range(2, len(labels) + 3))
    candidates = [label, f"{label} ({run.tags['experiment']})", *numbered]
    return next(candidate for candidate in candidates if candidate not in labels)
