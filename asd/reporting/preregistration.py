"""Plans that were frozen before their runs (``asd.preregister``): were they kept?"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any

from asd.documents.blocks import Block, Heading, Line, Table, Text
from asd.errors import AsdError
from asd.reporting.claims import HELD, KINDS, NOT_HELD, check_claim
from asd.reporting.compare import NOT_DECIDABLE
from asd.reporting.declaration import Claim, Statement
from asd.reporting.runs import Run
from asd.reporting.sections import Section
from asd.scoring.tables import NAMES

_WORDS = {HELD: "KEPT", NOT_HELD: "BROKEN"}


def digest(content: bytes) -> str:
    """By which others can tell that a plan has not been changed since they saw it."""
    return f"sha256 {hashlib.sha256(content).hexdigest()}"


class Preregistration:
    """A frozen plan; ``AsdError`` where it cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            content = path.read_bytes()
            plan: dict[str, Any] = json.loads(content)
            self.frozen = datetime.fromisoformat(plan["frozen"])
            self.commit = str(plan["commit"])
            self.identities = {name.rpartition("-")[2]: name for name in plan["runs"]}
            self.claims = [(one["better"], one["worse"], one["metric"]) for one in plan["claims"]]
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise AsdError(f"{path}: no plan of asd.preregister: {error!r:.200}") from error
        self.digest = digest(content)

    def of(self, runs: list[Run]) -> list[Run]:
        """Those of these runs that were planned."""
        return [run for run in runs if run.folder.name.rpartition("-")[2] in self.identities]

    def blocks(self, sections: list[Section], runs: list[Run]) -> list[Block]:
        """What became of it: a verdict a claim, and what was not done as planned.

        ``sections`` are the report's, ``runs`` those that were planned.
        """
        rows = []
        for (better, worse, metric), section in product(self.claims, sections):
            verdict, reason = _verdict(section, better, worse, metric)
            word = Line(_WORDS.get(verdict, verdict.upper()), KINDS[verdict])
            claim = [Line(f"{better} > {worse} by {NAMES[metric]}")]
            claim += [Line(section.label, "interval")] * (len(sections) > 1)
            rows.append([claim, [word, Line(reason, "interval")]])
        frozen = f"{self.frozen:%Y-%m-%d %H:%M}"
        title = f"Preregistered: {self.path.name}, frozen {frozen} UTC"
        notes = [f"{self.digest}; code of {self.commit[:8]}. Each claim is judged by itself."]
        said = [Text(f"NOT AS PLANNED: {text}.", "loud") for text in self._departures(runs)]
        return [Heading(title, 2), *said, Table(["claim", "verdict"], rows, "", 2, notes)]

    def _departures(self, runs: list[Run]) -> list[str]:
        made = [run.folder.name.rpartition("-")[2] for run in runs]
        absent = [name for identity, name in self.identities.items() if identity not in made]
        early = [r.folder.name for r in runs if r.finished < self.frozen.timestamp()]
        other = {run.commit for run in runs} - {self.commit}
        said = {
            "no finished run here of": absent,
            "finished before": early,
            "code of another commit": other,
            "code changed since its commit": [self.commit] * ("+" in self.commit),
        }
        return [f"{what}: {', '.join(sorted(names))}" for what, names in said.items() if names]


def _verdict(section: Section, better: str, worse: str, metric: str) -> tuple[str, str]:
    try:
        a, b = section.find(better), section.find(worse)
    except AsdError as error:
        return NOT_DECIDABLE, str(error)
    claim = Claim("", "", (Statement(a.label, b.label, metrics=(metric,)),))
    return check_claim(claim, {a.label: a, b.label: b}, metric)
