"""Layouts that people have: folders named after labels, MIMII's, and a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from asd.composition import compose_config, plain
from asd.data.clip_files import Clip
from asd.data.corpus import Corpus, corpus_of
from asd.data.labelled_recordings import split_normals
from asd.data.manifest import Manifest, Part
from asd.errors import AsdError

Write = Callable[..., Path]
RELEASE = ["development"]


def corpus(*overrides: str) -> Corpus:
    made = corpus_of(plain(compose_config([*overrides, "data.cache=null"]).data))
    assert isinstance(made, Corpus)
    return made


def manifest(*overrides: str) -> Manifest:
    made = corpus(*overrides)
    made.check(RELEASE)
    return made.manifest(RELEASE)


def counts(clips: Any) -> dict[tuple[str, str, str, int], int]:
    columns = [clips[column] for column in ("machine", "id", "split", "label")]
    return dict(Counter(zip(*columns, strict=True)))


@pytest.fixture
def write(write_clip: Write, tmp_path: Path) -> Callable[..., Path]:
    """Noise clips ``<root>/<folder>/<n> any name.wav``, as many as said; returns the root."""

    def _write(**folders: int) -> Path:
        root = tmp_path / "press"
        for k, (folder, count) in enumerate(folders.items()):
            for n in range(count):
                write_clip(root / folder / f"{n} any name.wav", seed=1000 * k + n)
        return root

    return _write


@pytest.mark.parametrize(
    ("data", "prefix", "machine", "machine_id"),
    [
        ("normal_anomaly", "", "press", "00"),
        ("normal_anomaly", "id_07/", "press", "07"),
        ("normal_anomaly", "fan/", "fan", "00"),
        ("normal_anomaly", "fan/left/", "fan", "left"),
        ("mimii", "6_dB_fan/fan/id_02/", "6_dB_fan", "02"),
        ("mimii", "0dB/fan/id_02/", "0dB fan", "02"),
    ],
)
@pytest.mark.parametrize("anomaly", ["anomaly", "abnormal", "Anomaly"])
def test_folders_named_after_labels(
    write: Callable[..., Path], data: str, prefix: str, machine: str, machine_id: str, anomaly: str
) -> None:
    root = write(**{f"{prefix}normal": 10, f"{prefix}{anomaly}": 3})
    found = manifest(f"data={data}", f"data.root={root}").clips
    assert counts(found) == {
        (machine, machine_id, "train", 0): 7,  # 2.5 of 10 are rounded up
        (machine, machine_id, "test", 0): 3,
        (machine, machine_id, "test", 1): 3,
    }


def test_normal_clips_alone_all_train(write: Callable[..., Path], caplog: Any) -> None:
    root = write(**{"fan/normal": 5, "pump/normal": 4, "pump/anomaly": 1, "pump/noise": 2})
    found = manifest("data=normal_anomaly", f"data.root={root}").clips
    assert counts(found[found["machine"] == "fan"]) == {("fan", "00", "train", 0): 5}
    assert counts(found[found["machine"] == "pump"])["pump", "00", "test", 0] == 1
    assert "2 files are not used" in caplog.text
    only = manifest("data=normal_anomaly", f"data.root={root}", "data.machines=[fan]").clips
    assert set(only["machine"]) == {"fan"}


def test_which_normals_are_test_clips_depends_on_seed_and_names_alone(tmp_path: Path) -> None:
    def drawn(count: int, seed: int = 0, root: Path = tmp_path, fraction: float = 0.3) -> set[str]:
        part = Part("development", "fan", "")
        clips = [Clip(part, "00", 0, root / f"n/{i}.wav") for i in range(count)]
        clips.append(Clip(part, "00", 1, root / "a/1.wav"))
        made = split_normals(clips[::-1], root, fraction, seed)
        assert made[0].part.split == "test"  # the anomaly
        return {c.path.name for c in made if c.part.split == "test" and c.label == 0}

    assert len(drawn(10)) == 3
    assert drawn(10) == drawn(10, root=tmp_path / "elsewhere")
    assert drawn(10) != drawn(10, seed=1)
    assert [len(drawn(n)) for n in (1, 2, 3)] == [0, 1, 1]
    assert len(drawn(3, fraction=1)) == 2  # one trains
    assert drawn(10, fraction=0) == set()


def test_what_is_looked_for_and_what_is_there_are_said(write: Callable[..., Path]) -> None:
    root = write(good=2, bad=2)
    for data, looked_for in (
        ("normal_anomaly", "{normal,anomaly or abnormal}"),
        ("folder", "<machine>/train or <machine>/test"),
    ):
        with pytest.raises(AsdError) as caught:
            corpus(f"data={data}", f"data.root={root}").check(RELEASE)
        assert looked_for in str(caught.value)
        assert "any (found: bad, good)" in str(caught.value)
    with pytest.raises(AsdError, match="layouts: data=folder, data=normal_an"):
        corpus("data=folder", f"data.root={root}").check(RELEASE)
    (root / "bad").rename(root / "anomaly")
    with pytest.raises(AsdError, match="no train clips in release development, machine type press"):
        corpus("data=normal_anomaly", f"data.root={root}").check(RELEASE)
    with pytest.raises(AsdError, match=r"data\.test_fraction=2: must be a number from 0 to 1"):
        corpus("data=mimii", f"data.root={root}", "data.test_fraction=2")
    with pytest.raises(AsdError, match=r"no train clips in release additional"):
        (root / "anomaly").rename(root / "normal")
        corpus("data=mimii", f"data.root={root}").check(["development", "additional"])


TABLE = """label,path,machine,id,split,remark
normal,good/0 any name.wav,fan,left,train,x
normal,good/1 any name.wav,fan,id_01,,x
normal,good/2 any name.wav,fan,01,,
Anomaly,bad/0 any name.wav,fan,01,,
,bad/1 any name.wav,fan,,test,
"""


def test_a_table(write: Callable[..., Path], tmp_path: Path, caplog: Any) -> None:
    root = write(good=3, bad=2)
    (root / "clips.csv").write_text(TABLE, encoding="utf-8-sig")
    found = manifest("data=csv", f"data.root={root}")
    assert counts(found.clips) == {
        ("fan", "left", "train", 0): 1,
        ("fan", "01", "train", 0): 1,
        ("fan", "01", "test", 0): 1,
        ("fan", "01", "test", 1): 1,
        ("fan", "00", "test", -1): 1,
    }
    assert "1 clips have no label" in caplog.text
    moved = tmp_path / "list.csv"
    moved.write_text(TABLE.replace(",good", f",{root}/good"), encoding="utf-8")
    again = manifest("data=csv", f"data.table={moved}", f"data.root={root}")
    assert again.data_hash() == found.data_hash()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("split,", "part,", r"columns missing: split; found: label, path, machine, id, part, rem"),
        (",train,x", ",training,x", r"clips.csv: line 2: split 'training', label 'normal': must"),
        ("Anomaly", "odd", "line 5: split '', label 'odd'"),
        ("Anomaly,bad/0 any name.wav,fan,01,", "1,bad/0,fan,01,train", "line 5: .*normal clips on"),
        ("good/0", "../../good/0", "line 2: path '../../good/0 any name.wav' must lie in "),
        (",fan,left", ",mean,left", "line 2: a machine type cannot be called 'mean'"),
        (",left,", ",l/r,", "line 2: a machine ID cannot be called 'l/r'"),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TABLE
    (tmp_path / "clips.csv").write_text(TABLE.replace(old, new, 1))
    with pytest.raises(AsdError, match=message):
        corpus("data=csv", f"data.root={tmp_path}").check(RELEASE)


def test_a_table_that_is_not_there_or_empty(tmp_path: Path) -> None:
    given = ("data=csv", f"data.root={tmp_path}")
    with pytest.raises(AsdError, match=r"data\.root is not set: .* DIR/clips.csv with the columns"):
        corpus("data=csv").check(RELEASE)
    with pytest.raises(AsdError, match=r"none\.csv: cannot be used .*No such file"):
        corpus(*given, "data.table=none.csv").check(RELEASE)
    (tmp_path / "clips.csv").write_text("path,machine,id,split,label\n")
    with pytest.raises(AsdError, match=r"machine types not there, as clips\.csv: any"):
        corpus(*given).check(RELEASE)
    (tmp_path / "clips.csv").write_text("path,machine,id,split,label\nx.wav,fan,00,train,normal\n")
    with pytest.raises(AsdError, match=r"x\.wav"):
        manifest(*given)


def sizes(*overrides: str) -> Sequence[Any]:
    config = plain(compose_config(overrides))
    return config["model"]["filters"], config["trainer"]["max_epochs"]


def test_scale_follows_from_the_training_clips_of_a_model(tmp_path: Path) -> None:
    """Counted by name: the files are empty."""
    rungs = plain(compose_config(["data=folder"])["scale"]["rungs"])
    root = tmp_path / "recordings"
    for name, count in (("fan", 12), ("pump", rungs[1]["clips"])):
        (root / name / "train").mkdir(parents=True)
        for n in range(count):
            (root / name / "train" / f"normal_id_00_{n:08d}.wav").touch()
    of_rung = [(rung["filters"], rung["max_epochs"]) for rung in rungs]
    given = ["data=folder", f"data.root={root}"]
    assert sizes(*given, "data.machines=[fan]") == of_rung[0]
    assert sizes(*given) == of_rung[1]
    assert sizes(*given, "scope=per_machine") == of_rung[0]  # of the fan
    assert sizes(*given, "scope=per_machine", "data.machines=[pump]") == of_rung[1]
    assert sizes(*given, "trainer.max_epochs=7")[1] == 7
    assert sizes(*given, "scale=paper") == ([32, 64, 128], 500)
    assert sizes("scale=auto", "data.train_per_id=1000") == of_rung[2]  # 2 IDs of 6 types
    assert sizes("data=folder", "data.root=/nowhere") == of_rung[0]  # refused when it trains
