from __future__ import annotations

import re

from asd.data.dcase2020_facts import load_facts
from asd.data.manifest import RELEASES


def total(release: str, machine: str | None = None) -> tuple[int, int]:
    """Training and test clips of a release, of one machine type or of all."""
    counts = [
        counts
        for (r, m, _), counts in load_facts().counts.items()
        if r == release and machine in (None, m)
    ]
    return sum(c[0] for c in counts), sum(c[1] + c[2] for c in counts)


def test_totals_are_those_of_the_published_description() -> None:
    assert total("development") == (20_119, 10_868)
    assert total("additional") == (16_164, 0)
    assert total("evaluation") == (0, 7_103)


def test_machines() -> None:
    machines = ("ToyCar", "ToyConveyor", "fan", "pump", "slider", "valve")
    assert load_facts().machines == machines


def test_every_release_has_an_archive_of_every_machine_and_one_list_of_labels() -> None:
    facts = load_facts()
    found = {(a.release, a.machine) for a in facts.archives}
    assert found == {(r, m) for r in RELEASES for m in facts.machines} | {("evaluation", None)}
    assert len(facts.archives) == 19
    assert len({a.md5 for a in facts.archives}) == 19
    assert all(re.fullmatch("[0-9a-f]{32}", a.md5) for a in facts.archives)
    assert all(
        a.file.endswith(".csv" if a.machine is None else f"_{a.machine}.zip")
        for a in facts.archives
    )


def test_additional_and_evaluation_share_their_ids_and_development_has_others() -> None:
    facts = load_facts()

    def ids(release: str, machine: str) -> set[str]:
        return {machine_id for _, _, _, machine_id, _ in facts.clips(release, machine)}

    for machine in facts.machines:
        assert ids("additional", machine) == ids("evaluation", machine)
        assert not ids("additional", machine) & ids("development", machine)
    assert ids("development", "ToyConveyor") == {"01", "02", "03"}
    assert facts.counts["development", "fan", "04"] == (933, 100, 348)
