"""Where a report's figures come from: when, by what command, of which code and which runs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from asd.documents.blocks import Block, Heading, Line, Table, Text, plain_row
from asd.experiment.environment import git_commit
from asd.reporting.sections import Section
from asd.secrets import redacted


def provenance(parts: Sequence[Section], words: Sequence[str], out: Path) -> list[Block]:
    """The foot of a report.

    Args:
        parts: its sections.
        words: that the program was given.
        out: where the report will stand; links to run folders are relative to it.
    """
    command = redacted(shlex.join(["python", "-m", "asd.report", *words]))
    made = datetime.now(UTC)
    rows = []
    for part in parts:
        for row in part.rows:
            for run in row.runs:
                link = Path(os.path.relpath(run.folder, out)).as_posix()
                folder = Line(run.folder.name, link=link)
                ended = f"{datetime.fromtimestamp(run.finished, UTC):%Y-%m-%d %H:%M}"
                commit = _short(str(run.tags.get("mlflow.source.git.commit", "unknown")))
                cells = [*plain_row(row.label, str(run.seed)), [folder]]
                rows.append([*cells, *plain_row(ended, commit)])
    commits = dict.fromkeys(row[-1][0].text for row in rows)
    text = (
        f"Made {made:%Y-%m-%d %H:%M} UTC by: {command} (code of {_short(git_commit())}). "
        f"{len(rows)} runs, of code of {', '.join(commits)}."
    )
    header = ["row", "seed", "run", "ended, UTC", "commit"]
    return [
        Heading("Provenance", 2),
        Text(text),
        Table(header, rows, texts=5, folded="The runs of this report"),
    ]


def _short(commit: str) -> str:
    return commit[:8] + "+changes" * ("+" in commit)
