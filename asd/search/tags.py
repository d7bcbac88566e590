"""MLflow tags by which the runs of a search are found, and which clips chose among them."""

from __future__ import annotations

from typing import Any

from asd.experiment.run_folder import RunFolder
from asd.search.objectives import TEST, selected_on

SELECTED_ON, PRUNED = "selected_on", "pruned"


def search_tags(search: dict[str, Any], known: dict[str, str]) -> dict[str, str]:
    """Tags of a run that is a trial; none for others.

    Args:
        search: the config node ``search``.
        known: tags that the run has. Once test clips have had a say, they have had it.
    """
    if search["trial"] is None:
        return {name: known[name] for name in ("study", "trial", SELECTED_ON) if name in known}
    clips = selected_on(search["objectives"])
    if known.get(SELECTED_ON) == TEST:
        clips = TEST
    return {"study": search["study"], "trial": str(search["trial"]), SELECTED_ON: clips}


def tag_finished(folder: RunFolder, search: dict[str, Any]) -> None:
    """Tag a run that was finished before it became a trial."""
    record = folder.record()
    tags = search_tags(search, record.get("tags", {}))
    if all(record.get("tags", {}).get(name) == value for name, value in tags.items()):
        return
    folder.update(tags={**record.get("tags", {}), **tags})
