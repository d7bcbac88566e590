"""The corpus that is made by a program: DCASE 2020 task 2 in shape, sounds simulated."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.data.manifest import RELEASES, Manifest
from asd.errors import AsdError

if TYPE_CHECKING:
    from asd.data.simulation.clip import ClipName, SoundSettings

# Machine IDs of the real corpus: (development, additional and evaluation).
IDS = {
    "ToyCar": (("01", "02", "03", "04"), ("05", "06", "07")),
    "ToyConveyor": (("01", "02", "03"), ("04", "05", "06")),
    "fan": (("00", "02", "04", "06"), ("01", "03", "05")),
    "pump": (("00", "02", "04", "06"), ("01", "03", "05")),
    "slider": (("00", "02", "04", "06"), ("01", "03", "05")),
    "valve": (("00", "02", "04", "06"), ("01", "03", "05")),
}
MOST_DEVELOPMENT, MOST_ADDITIONAL = 4, 3
COUNTS = ("given", "dcase2020")
LOWEST_RATE = 8000  # the sound models need 4 kHz

# (release, machine type, ID) -> clips (train, test normal, test anomaly)
Plan = dict[tuple[str, str, str], tuple[int, int, int]]


@dataclass(frozen=True)
class Simulated:
    """Simulated machines in the layout ``<release>/<machine>/{train,test}/*.wav``.

    Each corpus is a folder of ``root`` named after what defines it (every field but ``root`` and
    ``workers``); only the releases asked for are made. A clip depends on the seed, the sound
    settings and its own name alone, not on how many others there are.
    """

    root: Path | str
    seed: int = 0
    rate: int = 16000  # Hz
    machines: Sequence[str] = tuple(IDS)
    counts: str = "given"  # given: the numbers below; dcase2020: those of the real corpus
    seconds: float = 2.0
    toy_car_seconds: float = 2.0
    ids_development: int | None = 2
    ids_additional: int | None = 1  # also those of the evaluation release
    train_per_id: int | None = 24
    test_normal_per_id: int | None = 20
    test_anomaly_per_id: int | None = 20
    snr_db: float = 6.0
    snr_spread_db: float = 2.0
    level_db: float = -42.0  # dB re full scale, of a machine in normal work
    level_spread_db: float = 3.0
    strength: Sequence[float] = (0.2, 1.0)  # least and greatest, of an anomaly
    workers: int | None = None  # processes; None: all cores for long work, else this process

    name = "simulated"

    def __post_init__(self) -> None:
        for option, least, most in (
            ("rate", LOWEST_RATE, 192000),
            ("seconds", 0.25, 3600.0),
            ("toy_car_seconds", 0.25, 3600.0),
            ("snr_db", -40.0, 60.0),
            ("snr_spread_db", 0.0, 20.0),
            ("level_db", -80.0, -20.0),
            ("level_spread_db", 0.0, 10.0),
        ):
            self._check_number(option, getattr(self, option), least, most)
        if self.counts not in COUNTS:
            raise AsdError(f"data.counts={self.counts}: must be {' or '.join(COUNTS)}")
        if self.counts == "given":
            for option, low, high in (
                ("ids_development", 1, MOST_DEVELOPMENT),
                ("ids_additional", 0, MOST_ADDITIONAL),
                ("train_per_id", 1, 10**8),
                ("test_normal_per_id", 1, 10**8),
                ("test_anomaly_per_id", 1, 10**8),
            ):
                self._check_whole(option, getattr(self, option), low, high)
        self._check_whole("seed", self.seed, 0, 2**63)
        if self.workers is not None:
            self._check_whole("workers", self.workers, 1, 4096)
        if isinstance(self.machines, str) or not self.machines:
            raise AsdError(f"data.machines={self.machines!r}: give a list of machine types")
        for machine in self.machines:
            if machine not in IDS:
                raise AsdError(f"data.machines: {machine!r} is none of {', '.join(IDS)}")
        if len(set(self.machines)) < len(self.machines):
            raise AsdError(f"data.machines={list(self.machines)}: one stands twice")
        if isinstance(self.strength, str) or len(self.strength) != 2:
            raise AsdError(f"data.strength={self.strength}: give the least and the greatest")
        weak, clear = self.strength
        if not 0.0 < weak <= clear <= 1.0:
            raise AsdError(f"data.strength=[{weak}, {clear}]: must be 0 < least <= greatest <= 1")

    @property
    def simulated(self) -> bool:
        """True: the sounds are made by a program."""
        return True

    @cached_property
    def folder(self) -> Path:
        """The corpus's own folder."""
        text = json.dumps(self._definition(), sort_keys=True)
        digest = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
        return Path(self.root) / f"seed{self.seed}-{self.seconds:g}s-{digest}"

    def check(self, releases: list[str]) -> None:
        """Refuse cheaply what cannot work.

        Raises:
            AsdError: a release is unknown or empty, the folder cannot be written to, or what is
                yet to be made does not fit on the disk.
        """
        for release in releases:
            if release not in RELEASES:
                raise AsdError(f"release {release!r} is none of {', '.join(RELEASES)}")
            if not any(key[0] == release for key in self._plan):
                raise AsdError(
                    f"data.ids_additional=0: the simulated corpus has no {release} release;"
                    " set it to at least 1"
                )
        todo = [release for release in releases if not self.is_there([release])]
        if not todo:
            return
        there = self.folder
        while not there.exists():
            there = there.parent
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise AsdError(
                f"{there}: the simulated corpus cannot be written there; set data.root to a folder"
                " that can be written to"
            )
        if self.folder.exists():
            return  # partly made already: what is lacking is not counted here
        from asd.data.simulation.making import wav_bytes

        needed = sum(wav_bytes(self._samples(clip.machine)) for clip in self._clips(todo))
        free = shutil.disk_usage(there).free
        if needed > free:
            raise AsdError(
                f"{there}: the simulated corpus needs {needed / 1e9:.1f} GB and"
                f" {free / 1e9:.1f} GB are free; set data.root to a larger disk"
            )

    def is_there(self, releases: list[str]) -> bool:
        """Whether all clips of these releases have been made."""
        return all((self.folder / r / "manifest.csv").is_file() for r in releases)

    def manifest(self, releases: list[str]) -> Manifest:
        """All clips of these releases; those that are not on the disk are made first.

        Raises:
            AsdError: as ``check``; or the disk fills up while the clips are made.
        """
        import pandas as pd

        from asd.data.simulation.build import CorpusPlan, ready_manifests

        self.check(releases)
        chosen = [release for release in RELEASES if release in releases]
        plan = CorpusPlan(
            folder=self.folder,
            settings=self._settings(),
            clips={release: list(self._clips([release])) for release in chosen},
            samples={machine: self._samples(machine) for machine in self.machines},
            definition=self._definition(),
            workers=self.workers,
        )
        tables = ready_manifests(plan)
        clips = pd.concat([tables[release] for release in sorted(chosen)], ignore_index=True)
        return Manifest(self.folder, clips)

    @cached_property
    def _plan(self) -> Plan:
        """Clips (train, test normal, test anomaly) of each release, machine type and ID."""
        plan: Plan = {}
        if self.counts == "dcase2020":
            from asd.data.dcase2020_facts import load_facts

            for key, real in sorted(load_facts().counts.items()):
                if key[1] in self.machines:
                    plan[key] = (real.train, real.test_normal, real.test_anomaly)
            return plan
        train = int(self.train_per_id or 0)
        test = int(self.test_normal_per_id or 0), int(self.test_anomaly_per_id or 0)
        for machine in sorted(self.machines):
            development, additional = IDS[machine]
            for machine_id in development[: self.ids_development]:
                plan["development", machine, machine_id] = (train, *test)
            for machine_id in additional[: self.ids_additional]:
                plan["additional", machine, machine_id] = (train, 0, 0)
                plan["evaluation", machine, machine_id] = (0, *test)
        return plan

    def _clips(self, releases: list[str]) -> Iterator[ClipName]:
        from asd.data.simulation.clip import ClipName

        for (release, machine, machine_id), counts in self._plan.items():
            if release in releases:
                kinds = zip(("train", "test", "test"), (0, 0, 1), counts, strict=True)
                for split, label, count in kinds:
                    for index in range(count):
                        yield ClipName(release, machine, machine_id, split, label, index)

    def _samples(self, machine: str) -> int:
        seconds = self.toy_car_seconds if machine == "ToyCar" else self.seconds
        return round(seconds * self.rate)

    def _settings(self) -> SoundSettings:
        from asd.data.simulation.clip import SoundSettings

        return SoundSettings(
            seed=self.seed,
            rate=self.rate,
            snr_db=float(self.snr_db),
            snr_spread_db=float(self.snr_spread_db),
            level_db=float(self.level_db),
            level_spread_db=float(self.level_spread_db),
            strength_low=float(self.strength[0]),
            strength_high=float(self.strength[1]),
        )

    def _definition(self) -> dict[str, Any]:
        """What defines the corpus, in one form whatever way it was asked for."""
        from dataclasses import asdict

        from asd.data.simulation import GENERATOR_VERSION

        return {
            "generator": GENERATOR_VERSION,
            **asdict(self._settings()),
            "samples": {machine: self._samples(machine) for machine in sorted(self.machines)},
            "clips": {"/".join(key): list(counts) for key, counts in sorted(self._plan.items())},
        }

    @staticmethod
    def _check_number(option: str, value: float, least: float, most: float) -> None:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not least <= value <= most:
            raise AsdError(f"data.{option}={value}: must be a number from {least:g} to {most:g}")

    @staticmethod
    def _check_whole(option: str, value: object, least: int, most: int) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise AsdError(f"data.{option}={value}: must be a whole number from {least} to {most}")
