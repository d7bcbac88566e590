"""Freeze runs and claims before test labels are used.

python -m asd.preregister PLAN.json "claim=ss_0.5 > u" sweep=paper seed=0,1,2 data=dcase2020
"""

from __future__ import annotations

import argparse
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asd.errors import AsdError
from asd.exit_status import exit_status, program

_CLAIM = re.compile(
    r"claim=(?P<better>[^>]+) > (?P<worse>(?:(?! by )[^>])+)(?: by (?P<metric>p?auc))?"
)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 for an input that the user must mend."""
    parser = argparse.ArgumentParser(
        prog="python -m asd.preregister",
        description="Write down which runs will be made and what is claimed of them; "
        "python -m asd.report plan=PLAN says later whether that was kept (docs/report.md).",
    )
    parser.add_argument("plan", type=Path, help="the file to write, .json")
    parser.add_argument("option", nargs="+", help="claim=A > B, claim=A > B by pauc, and the "
        "options of the sweep as for asd.train -m")  # fmt: skip
    options = parser.parse_args(arguments)
    return exit_status(lambda: _freeze(options.plan, options.option))


def _freeze(path: Path, words: list[str]) -> None:
    from asd.experiment.environment import git_commit
    from asd.reporting.preregistration import digest
    from asd.sweeps.arguments import composed_sweep
    from asd.sweeps.cells import Cells
    from asd.sweeps.grid_sweep import combinations

    if path.exists():
        raise AsdError(f"{path}: is there, and a plan is not changed; name another file")
    texts = [word for word in words if word.startswith("claim=")]
    claims = [match.groupdict("auc") for text in texts if (match := _CLAIM.fullmatch(text))]
    if len(claims) < len(texts) or not texts:
        raise AsdError(f"{texts or 'claim'}: say 'claim=A > B' or 'claim=A > B by pauc'")
    with composed_sweep([word for word in words if word not in texts]) as (loader, master):
        if "grid" not in str(master.hydra.sweeper._target_).lower():
            raise AsdError("hydra/sweeper: only a grid can be frozen, a search chooses its runs")
        overrides = combinations(loader, list(map(str, master.hydra.overrides.task)))
        cells = list(Cells(loader, master).of(overrides))
    for cell in cells:
        if cell.refusal or not cell.path:
            raise AsdError(f"{cell.label}: {cell.refusal or 'no data'}")
        if any(cell.path.parent.glob(f"*-{cell.path.name[-12:]}*/**/scores.csv")):
            raise AsdError(f"{cell.label}: already run, in part at least; its test labels are used")
    runs: dict[str, Any] = {c.path.name: " ".join(c.overrides) for c in cells if c.path}
    frozen = datetime.now(UTC).isoformat(timespec="seconds")
    plan = {"frozen": frozen, "commit": git_commit(), "claims": claims, "runs": runs}
    text = json.dumps(plan, indent=1)
    path.write_text(text)
    print(f"{path}: {len(claims)} claims, {len(runs)} runs, whose names end in a hash of config,")
    print(f"data and code versions. Frozen {frozen}; show others this: {digest(text.encode())}")


if __name__ == "__main__":
    program(main)
