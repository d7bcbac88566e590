"""The corpus that is made by a program: DCASE 2020 task 2 in shape, sounds simulated."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.data.dcase2020_facts import load_facts
from asd.data.manifest import RELEASES, Manifest
from asd.errors import AsdError
from asd.options import check_choice, check_number, check_whole

if TYPE_CHECKING:
    from asd.data.simulation.clip import PlannedClip

COUNTS = ("given", "dcase2020")
RANGES = (
    ("rate", 8000, 192000),  # the sound models need 4 kHz
    ("seconds", 0.25, 3600.0),
    ("toy_car_seconds", 0.25, 3600.0),
)
LEVELS = (
    ("snr_db", -40.0, 60.0),
    ("snr_spread_db", 0.0, 20.0),
    ("level_db", -80.0, -20.0),
    ("level_spread_db", 0.0, 10.0),
)
COUNT_RANGES = (  # where counts are given
    ("ids_development", 1, 4),
    ("ids_additional", 0, 3),
    ("train_per_id", 1, 10**8),
    ("test_normal_per_id", 1, 10**8),
    ("test_anomaly_per_id", 1, 10**8),
)

# (release, machine type, ID) -> clips (train, test normal, test anomaly)
Plan = dict[tuple[str, str, str], tuple[int, ...]]


@dataclass(frozen=True, eq=False)  # a corpus is a key of what is known of its units
class Simulated:
    """Simulated machines in the layout ``<release>/<machine>/{train,test}/*.wav``.

    Each corpus is a folder of ``root`` named after what defines it (every field but ``root``);
    only the releases asked for are made. A clip depends on the seed, the sound settings and its own
    name alone, not on how many others there are.
    """

    root: Path | str
    seed: int
    rate: int  # Hz
    machines: Sequence[str]
    counts: str  # given: the numbers below; dcase2020: those of the real corpus
    seconds: float
    toy_car_seconds: float
    ids_development: int | None
    ids_additional: int | None  # also those of the evaluation release
    train_per_id: int | None
    test_normal_per_id: int | None
    test_anomaly_per_id: int | None
    snr_db: float  # mean signal-to-noise ratio
    snr_spread_db: float  # standard deviation from clip to clip (cut at twice that)
    level_db: float  # mean level of a unit in normal work, dB re full scale
    level_spread_db: float  # standard deviation from unit to unit (cut at twice that)
    strength: Sequence[float]  # least and greatest, of an anomaly; uniform between the two

    name = "simulated"
    simulated = True
    channel = None  # the clips are mono

    def __post_init__(self) -> None:
        check_choice("data.counts", self.counts, COUNTS)
        check_whole("data.seed", self.seed, 0, 2**63)
        for option, least, most in RANGES + LEVELS:
            check_number(f"data.{option}", getattr(self, option), least, most)
        for option, low, high in COUNT_RANGES if self.counts == "given" else ():
            check_whole(f"data.{option}", getattr(self, option), low, high)
        machines = [] if isinstance(self.machines, str) else list(self.machines)
        known = load_facts().machines
        if not machines or len({*machines} & {*known}) != len(machines):
            raise AsdError(f"data.machines={self.machines}: must be a list of {', '.join(known)}")
        if isinstance(self.strength, str) or len(self.strength) != 2:
            raise AsdError(f"data.strength={self.strength}: give the least and the greatest")
        check_number("data.strength", self.strength[0], 0, 1, above=True)
        check_number("data.strength", self.strength[1], self.strength[0], 1)

    @cached_property
    def folder(self) -> Path:
        """The corpus's own folder."""
        text = json.dumps(self.definition, sort_keys=True)
        digest = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
        return Path(self.root) / f"seed{self.seed}-{self.seconds:g}s-{digest}"

    def check(self, releases: list[str]) -> dict[str, int]:
        """Refuse cheaply what cannot work; as ``asd.data.corpus.Corpus.check``.

        Raises:
            AsdError: a release is unknown or empty.
        """
        for release in releases:
            check_choice("release", release, RELEASES)
            if not any(key[0] == release for key in self._plan):
                raise AsdError(
                    f"data.ids_additional=0: the simulated corpus has no {release} release;"
                    " set it to at least 1"
                )
        return Counter(clip.machine for clip in self.clips(releases) if clip.split == "train")

    def is_there(self, releases: list[str]) -> bool:
        """Whether all clips of these releases have been made."""
        return all((self.folder / r / "manifest.csv").is_file() for r in releases)

    def manifest(self, releases: list[str]) -> Manifest:
        """All clips of these releases; those that are not on the disk are made first.

        Raises:
            AsdError: as ``check``; or the disk fills up while the clips are made.
        """
        import pandas as pd

        from asd.data.simulation.build import ready_manifest

        self.check(releases)
        tables = [ready_manifest(self, release) for release in sorted(set(releases))]
        return Manifest(self.folder, pd.concat(tables, ignore_index=True))

    @cached_property
    def _plan(self) -> Plan:
        """Clips (train, test normal, test anomaly) of each release, machine type and ID."""
        wanted = self.train_per_id, self.test_normal_per_id, self.test_anomaly_per_id
        ids = dict.fromkeys(RELEASES, self.ids_additional) | {"development": self.ids_development}
        plan: Plan = {}
        planned: Counter[tuple[str, str]] = Counter()  # IDs of each release and machine type
        counts: tuple[int, ...]
        for (release, machine, machine_id), counts in sorted(load_facts().counts.items()):
            if self.counts == "given":  # of what the real corpus has some, as many as asked for
                if planned[release, machine] == ids[release]:
                    continue
                counts = tuple(int(n or 0) if c else 0 for c, n in zip(counts, wanted, strict=True))
            if machine in self.machines:
                plan[release, machine, machine_id] = counts
                planned[release, machine] += 1
        return plan

    def clips(self, releases: list[str]) -> Iterator[PlannedClip]:
        """All clips of these releases, made or not."""
        from asd.data.simulation.clip import PlannedClip

        for key, counts in self._plan.items():
            kinds = zip((("train", 0), ("test", 0), ("test", 1)), counts, strict=True)
            for kind, count in kinds if key[0] in releases else ():
                for index in range(count):
                    yield PlannedClip(*key, *kind, index, self._samples(key[1]))

    def _samples(self, machine: str) -> int:
        seconds = self.toy_car_seconds if machine == "ToyCar" else self.seconds
        return round(seconds * self.rate)

    @property
    def definition(self) -> dict[str, Any]:
        """What defines the corpus, in one form whatever way it was asked for."""
        from asd.data.simulation import GENERATOR_VERSION

        return {
            "generator": GENERATOR_VERSION,
            "seed": self.seed,
            "rate": self.rate,
            **{level: float(getattr(self, level)) for level, *_ in LEVELS},
            "strength_low": float(self.strength[0]),
            "strength_high": float(self.strength[1]),
            "samples": {machine: self._samples(machine) for machine in sorted(self.machines)},
            "clips": {"/".join(key): list(counts) for key, counts in sorted(self._plan.items())},
        }
