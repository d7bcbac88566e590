from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from corpora import dcase2020

from asd.composition import compose_config, plain
from asd.data import dcase2020 as module
from asd.data.corpus import Corpus, corpus_of
from asd.data.dcase2020 import DCASE2020
from asd.data.dcase2020_facts import Facts, load_facts
from asd.data.manifest import RELEASES, Manifest
from asd.errors import AsdError

Write = Callable[..., Path]
ALL = list(RELEASES)
DEVELOPMENT = ["development"]


@pytest.fixture
def small_facts(monkeypatch: pytest.MonkeyPatch) -> Facts:
    """As if two machine types with few clips had been published."""
    counts = {
        (release, machine, machine_id): numbers
        for machine in ("fan", "pump")
        for release, ids, numbers in (
            ("development", ("00", "02"), (3, 2, 2)),
            ("additional", ("01",), (4, 0, 0)),
            ("evaluation", ("01",), (0, 1, 2)),
        )
        for machine_id in ids
    }
    facts = replace(load_facts(), machines=("fan", "pump"), counts=counts)
    monkeypatch.setattr(module, "load_facts", lambda: facts)
    return facts


@pytest.fixture
def root(write_corpus: Write, small_facts: Facts) -> Path:
    """The small corpus."""
    place = write_corpus(release="development")
    write_corpus(root=place, release="additional", ids=["01"], train=4, normal=0, anomaly=0)
    none = {"train": 0, "normal": 0, "anomaly": 0}
    return write_corpus(root=place, release="evaluation", ids=["01"], **none, open_test=3)


def sizes(manifest: Manifest) -> dict[tuple[str, str], int]:
    groups = manifest.clips.groupby(["release", "split"]).size()
    return {tuple(key): int(n) for key, n in groups.items()}  # type: ignore[misc, arg-type]


def test_all_releases_and_the_flat_layout(root: Path) -> None:
    corpus = dcase2020(root)
    assert isinstance(corpus, Corpus)
    assert (corpus.name, corpus.simulated) == ("dcase2020", False)
    corpus.check(ALL)
    manifest = corpus.manifest(ALL)
    assert sizes(manifest) == {
        ("development", "train"): 12,
        ("development", "test"): 16,
        ("additional", "train"): 8,
        ("evaluation", "test"): 6,
    }
    evaluation = manifest.select(release="evaluation").clips
    assert set(evaluation["id"]) == {"01"}
    assert set(evaluation["label"]) == {-1}
    flat = dcase2020(root / "development").manifest(DEVELOPMENT)
    for development in (corpus.manifest(DEVELOPMENT), flat):
        assert sizes(development) == {("development", "train"): 12, ("development", "test"): 16}


def test_clip_missing(root: Path) -> None:
    next(root.rglob("pump/train/normal_id_02_00000001.wav")).unlink()
    corpus = dcase2020(root)
    with pytest.raises(AsdError) as caught:
        corpus.check(DEVELOPMENT)
    first, line, last = str(caught.value).splitlines()
    assert first == f"{root}: not the clips that are published"
    assert line == "  pump ID 02, development train normal: 2 found, 3 expected"
    assert "`python -m asd.data.download`" in last
    assert "data.verify_counts=false" in last
    free = dcase2020(root, verify_counts=False)
    free.check(DEVELOPMENT)
    assert len(free.manifest(DEVELOPMENT)) == 27


def test_clips_too_many_of_another_id_and_of_another_label(root: Path, write_clip: Write) -> None:
    folder = next(root.rglob("fan/train/normal_id_00_00000000.wav")).parent
    write_clip(folder / "normal_id_00_00000009.wav")
    write_clip(folder / "normal_id_09_00000000.wav")
    file = next(root.rglob("pump/test/normal_id_00_00000001.wav"))
    file.rename(file.with_name("anomaly_id_00_00000009.wav"))
    with pytest.raises(AsdError) as caught:
        dcase2020(root).manifest(DEVELOPMENT)
    assert str(caught.value).splitlines()[1:5] == [
        "  fan ID 00, development train normal: 4 found, 3 expected",
        "  fan ID 09, development train normal: 1 found, 0 expected",
        "  pump ID 00, development test normal: 1 found, 2 expected",
        "  pump ID 00, development test anomaly: 3 found, 2 expected",
    ]
    assert len(dcase2020(root, verify_counts=False).manifest(DEVELOPMENT)) == 30


def test_misnamed_clip_is_named(root: Path) -> None:
    file = next(root.rglob("fan/train/normal_id_00_00000001.wav"))
    file.rename(file.with_name("normal_00_00000001.wav"))
    with pytest.raises(
        AsdError, match=r"2 found, 3 expected\n .*normal_00_00000001\.wav: the name"
    ):
        dcase2020(root).check(DEVELOPMENT)


def test_skipping_a_bad_clip_is_not_a_wrong_count(root: Path) -> None:
    next(root.rglob("fan/train/normal_id_00_00000001.wav")).write_bytes(b"")
    with pytest.raises(AsdError, match="1 bad clips"):
        dcase2020(root).manifest(DEVELOPMENT)
    assert len(dcase2020(root, on_bad_clip="skip").manifest(DEVELOPMENT)) == 27


def test_a_part_of_the_corpus(root: Path) -> None:
    corpus = dcase2020(root, machines=["fan"], ids=["00"])
    corpus.check(DEVELOPMENT)
    assert len(corpus.manifest(DEVELOPMENT)) == 7


def test_all_published_machines_are_expected(write_corpus: Write) -> None:
    root = write_corpus(release="development", machines=["fan"])
    with pytest.raises(
        AsdError,
        match=r"not there.*: ToyCar, ToyConveyor, pump, slider, valve \(found: fan\)"
        r".*data\.machines=.*python -m asd\.data\.download",
    ):
        dcase2020(root).check(DEVELOPMENT)


def test_machine_that_is_not_published(write_corpus: Write) -> None:
    root = write_corpus(machines=["lathe"], ids=["00"])
    with pytest.raises(AsdError, match="lathe ID 00, development train normal: 3 found, 0 expec"):
        dcase2020(root, machines=["lathe"]).check(DEVELOPMENT)


def test_release_missing(write_corpus: Write, small_facts: Facts) -> None:
    root = write_corpus(release="development")
    with pytest.raises(AsdError, match=r"additional: machine types not there.*python -m asd\.data"):
        dcase2020(root).check(["development", "additional"])
    with pytest.raises(AsdError, match=r"additional: machine types not there.*python -m asd\.data"):
        dcase2020(root / "development").check(["development", "additional"])
    message = r"no such folder: .*python -m asd\.data\.download.*data=simulated"
    with pytest.raises(AsdError, match=message):
        dcase2020(root / "nowhere").check(DEVELOPMENT)


def test_published_counts_by_name_alone(tmp_path: Path) -> None:
    """The real facts, on empty files: names say everything that ``check`` looks at."""
    facts = load_facts()
    for (release, machine, machine_id), n in facts.counts.items():
        if machine != "slider":
            continue
        names = {"train/normal_id": n[0], "test/normal_id": n[1], "test/anomaly_id": n[2]}
        if release == "evaluation":
            names = {"test/id": n[1] + n[2]}
        for prefix, count in names.items():
            for k in range(count):
                file = tmp_path / release / machine / f"{prefix}_{machine_id}_{k:08d}.wav"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
    corpus = dcase2020(tmp_path, machines="slider")
    corpus.check(ALL)
    (tmp_path / "development/slider/train/normal_id_06_00000433.wav").unlink()
    corpus.check(["additional"])
    with pytest.raises(AsdError, match="ID 06, development train normal: 433 found, 434 expected"):
        corpus.check(DEVELOPMENT)


def test_config_file(tmp_path: Path) -> None:
    overrides = ["data=dcase2020", f"paths.data='{tmp_path}'", "data.ids=[00]"]
    config = compose_config(overrides)
    assert config.scale.name == "paper"
    corpus = corpus_of(plain(config.data))
    assert isinstance(corpus, DCASE2020)
    assert corpus.folder == tmp_path / "dcase2020"
    assert corpus.ids == ["00"]
