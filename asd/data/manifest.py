"""The data manifest: one row a clip, and all that the rest of the code knows of files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from asd.errors import AsdError, first_lines

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [
    "release",  # development | additional | evaluation
    "machine",  # machine type, e.g. fan
    "id",  # machine ID as text, e.g. "00"
    "split",  # train | test
    "label",  # 0 normal, 1 anomaly, -1 not known
    "path",  # POSIX path relative to the manifest's root
    "samples",  # samples at the file's own rate
    "rate",  # Hz
    "hash",  # content_hash of the file's bytes
]
RELEASES = ("development", "additional", "evaluation")
SPLITS = ("train", "test")

# Machine types become parts of metric names, as MLflow takes them, and folders: not ``..``.
_MACHINE = re.compile(r"(?!\.+$)[\w.\- :]+")
_RESERVED = ("mean", "shared")  # the mean over machine types; the model that all share


class Part(NamedTuple):
    """Clips that belong together, as a feature store keeps them."""

    release: str
    machine: str
    split: str


@dataclass(frozen=True)
class Manifest:
    """Clips of a corpus.

    ``clips`` has the columns ``COLUMNS`` and a clean 0..n-1 index, sorted by release, machine,
    split and path, so that the same files give the same manifest on any file system.
    """

    root: Path
    clips: pd.DataFrame

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def machines(self) -> list[str]:
        """Machine types, sorted."""
        return sorted(self.clips["machine"].unique())

    def select(self, **where: str | int | list[str] | list[int]) -> Manifest:
        """Rows whose columns equal the value given, or one of the values given."""
        keep = self.clips
        for column, value in where.items():
            values = value if isinstance(value, list) else [value]
            keep = keep[keep[column].isin(values)]
        return Manifest(self.root, keep.reset_index(drop=True))

    def part(self) -> Part:
        """Release, machine type and split of the first clip; of all, in one of ``parts_of``."""
        return Part(*self.clips.iloc[0][list(Part._fields)])

    def files(self) -> list[tuple[Path, str]]:
        """Each clip's file, and the hash of its content."""
        paths = [self.root / path for path in self.clips["path"]]
        return list(zip(paths, self.clips["hash"], strict=True))

    def data_hash(self) -> str:
        """Hash of what was recorded: names, labels and contents, but not where the folder lies."""
        digest = hashlib.blake2b(digest_size=8)
        for column in ("release", "machine", "id", "split", "label", "path", "hash"):
            digest.update("\n".join(self.clips[column].astype(str)).encode())
        return digest.hexdigest()


def content_hash(data: bytes) -> str:
    """What the manifest records of a file's bytes: BLAKE2b, 16 hex digits."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def check_machine(machine: str, where: Path | str, what: str = "a machine type") -> None:
    """Refuse a machine type, found ``where``, that figures cannot be named after.

    ``what`` bears the name: IDs stand in names of figures too.

    Raises:
        AsdError: says what a name may have in it.
    """
    if not _MACHINE.fullmatch(machine) or machine in _RESERVED:
        raise AsdError(
            f"{where}: {what} cannot be called {machine!r}: names have "
            "letters, digits, blanks and _ - . : only, as MLflow's metrics do, and "
            f"{' and '.join(_RESERVED)} mean something else: rename the folder"
        )


def repeated(manifest: Manifest) -> list[str]:
    """Sentences on files of the same content that train and test, or stand under several labels."""
    sentences = []
    for columns, what in (
        (["split"], "both among the training and the test clips"),
        (["label", "machine", "id"], "under several labels or machine IDs"),
    ):
        kinds = manifest.clips.drop_duplicates(["hash", *columns])["hash"].value_counts()
        clips = manifest.clips[manifest.clips["hash"].isin(kinds.index[kinds > 1])]
        if len(clips):
            lines = first_lines(f"  {path}" for path in clips.sort_values("hash")["path"])
            sentences.append(f"{len(clips)} files hold the same recordings {what}:\n{lines}")
    return sentences


def sorted_manifest(root: Path, rows: list[dict[str, object]]) -> Manifest:
    """A manifest of these rows, in its canonical order.

    Raises:
        AsdError: there are no rows, or a path stands twice.
    """
    import pandas as pd

    if not rows:
        raise AsdError(f"{root}: no clips found")
    clips = pd.DataFrame(rows, columns=COLUMNS)
    twice = clips["path"][clips["path"].duplicated()]
    if len(twice):
        raise AsdError(f"{root}: listed twice: {twice.iloc[0]}")
    clips = clips.sort_values(["release", "machine", "split", "path"], kind="stable")
    return Manifest(root, clips.reset_index(drop=True))


def parts_of(manifest: Manifest) -> Iterator[Manifest]:
    """The manifest's clips by release, machine and split, in the order that it must have."""
    groups = [rows for _, rows in manifest.clips.groupby(list(Part._fields), sort=False)]
    if [i for rows in groups for i in rows.index] != list(manifest.clips.index):
        raise ValueError("a manifest must be sorted by release, machine and split")
    for rows in groups:
        yield Manifest(manifest.root, rows.reset_index(drop=True))
