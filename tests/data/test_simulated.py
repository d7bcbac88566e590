"""The simulated corpus on disk: the same for everyone, whole or not there, and as asked for."""

from __future__ import annotations

import csv
import errno
import hashlib
import multiprocessing
import shutil
from pathlib import Path

import pytest
import soundfile
from corpora import IDS, dcase2020, folder, simulated

from asd.data.corpus import Corpus
from asd.data.dcase2020_facts import load_facts
from asd.data.simulated import Simulated
from asd.data.simulation import build
from asd.errors import AsdError

RELEASES = ["development", "additional", "evaluation"]


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.wav")}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    made = simulated(tmp_path_factory.mktemp("simulated"))
    made.manifest(RELEASES)
    return made


def test_layout_and_counts(corpus: Simulated) -> None:
    assert isinstance(corpus, Corpus)
    assert (corpus.name, corpus.simulated) == ("simulated", True)
    assert (corpus.folder / "README.txt").read_text().startswith("SIMULATED")
    clips = corpus.manifest(RELEASES).clips
    counts = clips.groupby(["release", "machine", "id", "split", "label"]).size().to_dict()
    wanted = {}
    for machine, (development, additional) in IDS.items():
        for machine_id in development:
            wanted["development", machine, machine_id, "train", 0] = 2
            wanted["development", machine, machine_id, "test", 0] = 1
            wanted["development", machine, machine_id, "test", 1] = 2
        wanted["additional", machine, additional, "train", 0] = 2
        wanted["evaluation", machine, additional, "test", 0] = 1
        wanted["evaluation", machine, additional, "test", 1] = 2
    assert counts == wanted
    assert set(clips["path"]) == set(contents(corpus.folder))
    first = clips[(clips["machine"] == "fan") & (clips["label"] == 1)].iloc[0]
    assert first["path"] == "development/fan/test/anomaly_id_00_00000000.wav"


def test_whoever_opens_the_folder_knows_that_it_is_simulated(
    corpus: Simulated, tmp_path: Path
) -> None:
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "fan").symlink_to(corpus.folder / "development" / "fan")
    for root in (corpus.folder, corpus.folder / "development", tmp_path / "linked"):
        assert folder(root).simulated and dcase2020(root, verify_counts=False).simulated
    shutil.copytree(corpus.folder / "development" / "fan", tmp_path / "copied" / "fan")
    assert not folder(tmp_path / "copied").simulated  # nothing there says so


def test_manifest_says_what_the_files_are(corpus: Simulated) -> None:
    for row in corpus.manifest(["evaluation"]).clips.itertuples():
        path = corpus.folder / str(row.path)
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        assert info.frames == row.samples == 8000
        assert row.hash == hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()


def test_only_the_releases_asked_for_are_made(tmp_path: Path) -> None:
    corpus = simulated(tmp_path, machines=["fan"])
    manifest = corpus.manifest(["additional"])
    assert set(manifest.clips["release"]) == {"additional"}
    assert not (corpus.folder / "development").exists()
    both = corpus.manifest(["development", "additional"]).clips
    assert list(both["path"]) == sorted(both["path"])


def test_every_anomaly_has_a_named_cause(corpus: Simulated) -> None:
    from asd.data.simulation.clip import causes

    manifest = corpus.manifest(["development"]).clips
    with (corpus.folder / "development" / "causes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["path"] for row in rows} == set(manifest.loc[manifest["label"] == 1, "path"])
    for row in rows:
        assert row["cause"] in causes(row["path"].split("/")[1])
        assert 0.2 <= float(row["strength"]) <= 1.0


def test_same_seed_same_bytes_whatever_else_is_made(corpus: Simulated, tmp_path: Path) -> None:
    more = simulated(tmp_path, machines=["valve", "fan"], ids_development=1, test_anomaly_per_id=3)
    more.manifest(["development"])
    before = contents(corpus.folder)
    again = contents(more.folder)
    shared = before.keys() & again.keys()
    assert len(shared) == 2 * 5
    assert len(again) == 2 * 6
    assert all(before[path] == again[path] for path in shared)


def test_several_threads_make_the_same_bytes(
    corpus: Simulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    other = simulated(tmp_path)
    assert other.folder.name == corpus.folder.name
    made = other.manifest(["development"])
    assert made.data_hash() == corpus.manifest(["development"]).data_hash()
    assert not list(other.folder.rglob("*.partial"))


def test_what_defines_the_corpus_and_what_does_not(tmp_path: Path) -> None:
    changes = [{}, {"seed": 1}, {"snr_db": 0}, {"strength": [0.5, 1.0]}, {"train_per_id": 3}]
    names = [simulated(tmp_path, **change).folder.name for change in changes]
    assert len(set(names)) == len(names)
    same = [
        simulated(tmp_path / "other"),
        simulated(tmp_path, machines=tuple(reversed(IDS))),
        simulated(tmp_path, strength=(0.2, 1), snr_db=6),
    ]
    assert {corpus.folder.name for corpus in same} == {names[0]}


def test_a_killed_build_is_completed_not_restarted(tmp_path: Path) -> None:
    corpus = simulated(tmp_path, machines=["fan"])
    before = corpus.manifest(["development"])
    release = corpus.folder / "development"
    whole = contents(corpus.folder)
    kept, gone = sorted(release.rglob("*.wav"))[:2]
    stamp = kept.stat().st_mtime_ns
    gone.unlink()
    (release / "causes.csv").unlink()
    (release / "manifest.csv").unlink()

    after = corpus.manifest(["development"])
    assert contents(corpus.folder) == whole
    assert after.data_hash() == before.data_hash()
    assert kept.stat().st_mtime_ns == stamp
    assert (release / "causes.csv").read_text().count("\n") == 1 + 2 * 2


def test_a_full_disk_is_told_and_nothing_half_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = simulated(tmp_path, machines=["pump"])
    write = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if "anomaly" in self.name:
            write(self, data[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(AsdError, match=r"(?s)No space left.*data\.root"):
            corpus.manifest(["development"])
    release = corpus.folder / "development"
    assert not (release / "manifest.csv").exists()
    assert not list(release.rglob("anomaly*"))
    assert not list(release.rglob(".*.partial"))
    assert {p.stat().st_size for p in release.rglob("*.wav")} == {44 + 2 * 8000}
    assert len(corpus.manifest(["development"])) == 10


def test_two_processes_at_once_make_one_corpus(tmp_path: Path) -> None:
    corpus = simulated(tmp_path, machines=["fan"])
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        first, second = pool.map(_hash_of, [corpus, corpus])
    assert first == second == corpus.manifest(["development"]).data_hash()


def _hash_of(corpus: Simulated) -> str:
    return corpus.manifest(["development"]).data_hash()


def test_a_complete_corpus_is_read_without_making_anything(
    corpus: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = corpus.manifest(RELEASES)

    def refuse(*_: object) -> object:
        raise AssertionError("nothing is to be made")

    monkeypatch.setattr(build, "_make", refuse)
    assert corpus.manifest(RELEASES).clips.equals(before.clips)


def test_real_counts_of_dcase2020(tmp_path: Path) -> None:
    facts = load_facts()
    counts = dict.fromkeys(("ids_development", "ids_additional", "train_per_id"))
    counts |= dict.fromkeys(("test_normal_per_id", "test_anomaly_per_id"))
    lengths = {"seconds": 10.0, "toy_car_seconds": 11.0}
    corpus = simulated(tmp_path, counts="dcase2020", **lengths, **counts)
    clips = list(corpus.clips(RELEASES))
    assert len(clips) == sum(map(sum, facts.counts.values()))
    for (release, machine, machine_id), count in facts.counts.items():
        mine = [c for c in clips if (c.release, c.machine, c.id) == (release, machine, machine_id)]
        assert sum(c.split == "train" for c in mine) == count[0]
        assert sum(c.label for c in mine) == count[2]
    assert corpus._samples("ToyCar") == 176_000
    assert corpus._samples("fan") == 160_000


BAD: dict[str, list[object]] = {
    "rate": [4000],
    "seconds": [0, float("nan")],
    "toy_car_seconds": [-1],
    "counts": ["all"],
    "seed": [-1],
    "ids_development": [0, 5],
    "ids_additional": [4],
    "train_per_id": [None],
    "test_normal_per_id": [0],
    "test_anomaly_per_id": [1.5],
    "snr_spread_db": [-1],
    "snr_db": ["loud"],
    "strength": [[0.0, 1.0], [0.5, 0.2], [0.5]],
    "machines": [["fan", "gearbox"], ["fan", "fan"], []],
}


@pytest.mark.parametrize("option", BAD)
def test_bad_options_are_refused_by_name(tmp_path: Path, option: str) -> None:
    for value in BAD[option]:
        with pytest.raises(AsdError, match=rf"data\.{option}"):
            simulated(tmp_path, **{option: value})


def test_bad_releases_and_folders_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(AsdError, match="release=third: must be one of development"):
        simulated(tmp_path).check(["third"])
    with pytest.raises(AsdError, match=r"data\.ids_additional=0"):
        simulated(tmp_path, ids_additional=0).check(["additional"])
    (tmp_path / "file").write_text("")
    with pytest.raises(AsdError, match=r"data\.root"):
        simulated(tmp_path / "file" / "data").manifest(["development"])
    assert not simulated(tmp_path).folder.exists()
