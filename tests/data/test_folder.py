from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from corpora import folder

from asd.composition import compose_config, plain
from asd.data.corpus import Corpus, corpus_of
from asd.data.folder import Folder
from asd.data.manifest import RELEASES
from asd.errors import AsdError

Write = Callable[..., Path]
DEVELOPMENT = ["development"]


def counts(corpus: Folder, releases: list[str]) -> dict[tuple[object, ...], int]:
    clips = corpus.manifest(releases).clips
    columns = [clips[column] for column in ("release", "machine", "id", "split", "label")]
    return dict(Counter(zip(*columns, strict=True)))


def test_flat_layout_is_the_development_release(write_corpus: Write) -> None:
    corpus = folder(write_corpus(), cache=None)
    assert isinstance(corpus, Corpus)
    assert (corpus.name, corpus.simulated) == ("folder", False)
    corpus.check(DEVELOPMENT)
    manifest = corpus.manifest(DEVELOPMENT)
    assert manifest.machines == ["fan", "pump"]
    assert counts(corpus, DEVELOPMENT) == {
        ("development", machine, machine_id, split, label): n
        for machine in ("fan", "pump")
        for machine_id in ("00", "02")
        for split, label, n in (("train", 0, 3), ("test", 0, 2), ("test", 1, 2))
    }
    assert all((manifest.root / path).is_file() for path in manifest.clips["path"])


def test_release_folders(write_corpus: Write) -> None:
    root = write_corpus(release="development")
    write_corpus(root=root, release="additional", ids=["01"], normal=0, anomaly=0)
    write_corpus(
        root=root, release="evaluation", ids=["01"], train=0, normal=0, anomaly=0, open_test=4
    )
    corpus = folder(root)
    corpus.check(list(RELEASES))
    assert len(corpus.manifest(DEVELOPMENT)) == 2 * 2 * 7
    assert len(corpus.manifest(["development", "additional"])) == 2 * 2 * 7 + 2 * 3
    evaluation = corpus.manifest(["evaluation"]).clips
    assert len(evaluation) == 8
    assert set(evaluation["label"]) == {-1}
    assert set(evaluation["path"].str.split("/").str[0]) == {"evaluation"}


def test_same_manifest_wherever_the_folder_lies(
    write_corpus: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_corpus()
    shutil.copytree(root, tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    moved = folder("moved", cache="cache").manifest(DEVELOPMENT)
    assert moved.root == tmp_path / "moved"
    assert moved.data_hash() == folder(root).manifest(DEVELOPMENT).data_hash()
    assert (tmp_path / "cache" / "scan").is_dir()


def test_any_machine_types_without_test_clips(write_corpus: Write) -> None:
    machines = ["fridge 2", "lathe", "Überdruckpumpe"]
    corpus = folder(write_corpus(machines=machines, ids=["7"], normal=0, anomaly=0))
    corpus.check(DEVELOPMENT)
    assert corpus.manifest(DEVELOPMENT).machines == machines
    assert set(corpus.manifest(DEVELOPMENT).clips["split"]) == {"train"}


def test_what_is_not_used_is_named(write_corpus: Write, caplog: pytest.LogCaptureFixture) -> None:
    root = write_corpus(machines=["fan", "pump"])
    clip = (root / "fan/train/normal_id_00_00000000.wav").read_bytes()
    unused = ["fan/normal_id_00_00000007.wav", "fan/train/more/normal_id_00_00000008.wav",
              "fan/train/list.txt", "fan/validation/normal_id_00_00000009.flac", "x.wav",
              "valve/normal_id_00_00000000.wav", "fan/test/b\\udcfc.m4a"]  # fmt: skip
    of_other_machine = "pump/train/list.txt"
    for name in (*unused, of_other_machine, "README.md", "fan/.hidden/x.wav", "fan/test/.x.wav"):
        path = root / name.replace("\\udcfc", "\udcfc")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(clip)
    os.mkfifo(root / "fan/train/pipe")
    (root / "fan/train/loop").symlink_to("/")
    unused.append("fan/train/loop")
    (root / "fan/test").rename(root.parent / "elsewhere")
    (root / "fan/test").symlink_to(root.parent / "elsewhere")
    unused.append("fan/train/pipe")
    for machines, expected in ((None, [*unused, of_other_machine]), (["fan"], unused)):
        caplog.clear()
        assert len(folder(root, machines=machines).manifest(DEVELOPMENT)) in (14, 28)
        (message,) = [record.getMessage() for record in caplog.records]
        wanted = [name for name in expected if machines is None or name.startswith("fan")]
        first, *lines = message.splitlines()
        assert f"{len(wanted)} files are not used" in first
        assert sorted(line.strip() for line in lines) == sorted(wanted)


@pytest.mark.parametrize(
    "machine", ["fan(2)", "Pumpe Nr. 3 (Süd)", "fan#1", "mean", "shared", "b\udcfc"]
)
def test_machine_types_that_cannot_name_a_metric_are_refused(
    machine: str, write_corpus: Write
) -> None:
    root = write_corpus(machines=["fan", "pump"])
    (root / "pump").rename(root / machine)
    with pytest.raises(AsdError, match="a machine type cannot be called") as error:
        folder(root).check(DEVELOPMENT)
    assert "rename the folder" in str(error.value).encode().decode()
    folder(root, machines=["fan"]).check(DEVELOPMENT)


def test_clips_whose_names_are_not_utf8(
    write_corpus: Write, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_corpus(machines=["fan"])
    file = root / "fan/train/normal_id_00_00000000.wav"
    file.rename(file.with_name("normal_id_b\udcfc_1.wav"))
    with pytest.raises(
        AsdError, match=r"normal_id_b\\udcfc_1\.wav: the name does not fit"
    ) as error:
        folder(root).manifest(DEVELOPMENT)
    str(error.value).encode()
    assert len(folder(root, on_bad_clip="skip").manifest(DEVELOPMENT)) == 13
    caplog.text.encode()
    moved = root.rename(root.with_name("\udcfc"))
    with pytest.raises(AsdError, match="the name is not UTF-8: rename it"):
        folder(moved).check(DEVELOPMENT)


def test_a_pipe_among_the_clips_is_named(write_corpus: Write) -> None:
    root = write_corpus(machines=["fan"])
    os.mkfifo(root / "fan/train/normal_id_00_00000009.wav")
    with pytest.raises(AsdError, match=r"1 bad clips\n.*00000009\.wav: no regular file"):
        folder(root).manifest(DEVELOPMENT)
    assert len(folder(root, on_bad_clip="skip").manifest(DEVELOPMENT)) == 14


# Choosing


FAN_02, PUMP_02 = ("fan", "02"), ("pump", "02")


@pytest.mark.parametrize(
    ("options", "left"),
    [
        *[({"machines": some}, [("pump", "00"), PUMP_02]) for some in ("pump", ["pump"])],
        *[({"ids": some}, [FAN_02, PUMP_02]) for some in (["02"], [2], 2, "02")],
    ],
)
def test_choosing(
    write_corpus: Write, options: dict[str, object], left: list[tuple[str, str]]
) -> None:
    root = write_corpus()
    (root / "fan" / "train" / "normal_id_00_00000000.wav").write_bytes(b"")  # is not read
    clips = folder(root, **options).manifest(DEVELOPMENT).clips
    assert sorted(set(zip(clips["machine"], clips["id"], strict=True))) == left


@pytest.mark.parametrize(
    ("override", "clips"),
    [("data.ids=[00]", 14), ("data.machines=[fan]", 14)],
)
def test_options_as_hydra_hands_them_over(
    write_corpus: Write, tmp_path: Path, override: str, clips: int
) -> None:
    overrides = ["data=folder", f"data.root='{write_corpus()}'", f"paths.cache='{tmp_path}'"]
    config = compose_config([*overrides, override])
    assert config.scale.name == "auto"
    corpus = corpus_of(plain(config.data))
    assert isinstance(corpus, Folder)
    corpus.check(DEVELOPMENT)
    assert len(corpus.manifest(DEVELOPMENT)) == clips
    assert (tmp_path / "scan").is_dir()


# Refusals


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (".", "corpus: no such folder: .*data.root=DIR"),
        ("*", "machine types not there, as <machine>/train or .*any .*data.root=DIR"),
        ("pump/train", "no train clips in release development, machine type pump"),
        ("pump/train/*", "no train clips in release development, machine type pump"),
    ],
)
def test_what_is_not_there_is_named(gone: str, message: str, write_corpus: Write) -> None:
    root = write_corpus()
    for path in [root] if gone == "." else list(root.glob(gone)):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(AsdError, match=message):
        folder(root).check(DEVELOPMENT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"machines": ["fan", "lathe", "drill"]}, r"lathe, drill \(found: fan, pump\)"),
        ({"ids": ["00", "09"]}, r"ID 09 \(found: fan 00, fan 02, fan 04, pump 00, pump 02\)"),
        ({"ids": ["04"]}, r"data.ids=\['04'\] in release development, .* pump"),
    ],
)
def test_what_is_chosen_must_be_there(
    options: dict[str, object], message: str, write_corpus: Write
) -> None:
    root = write_corpus()
    write_corpus(root=root, machines=["fan"], ids=["04"])
    folder(root, ids=["00", "04"]).check(DEVELOPMENT)  # 04 is there, if not of every machine
    with pytest.raises(AsdError, match=message):
        folder(root, **options).check(DEVELOPMENT)


def test_layouts_that_cannot_be_told(write_corpus: Write) -> None:
    root = write_corpus()
    message = f"must be <root>.* but holds train, test: .*data.root={root} if this is one machine"
    with pytest.raises(AsdError, match=message):
        folder(root / "fan").check(DEVELOPMENT)
    write_corpus(root=root, release="additional")
    with pytest.raises(AsdError, match="but holds additional, fan, pump: keep one layout"):
        folder(root).check(DEVELOPMENT)


@pytest.mark.parametrize("root", [None, ""])
def test_root_is_needed(root: str | None) -> None:
    with pytest.raises(AsdError, match=r"data\.root is not set: .*data\.root=DIR"):
        folder(root).check(DEVELOPMENT)


def test_no_clip_is_left_to_train_on(write_corpus: Write) -> None:
    root = write_corpus()
    for file in (root / "pump" / "train").iterdir():
        file.write_bytes(b"")
    corpus = folder(root, on_bad_clip="skip")
    for _ in range(2):
        with pytest.raises(AsdError, match=r"no train clips in release development, .* pump"):
            corpus.manifest(DEVELOPMENT)
        (root / "pump" / "train" / "wrong name.wav").touch()


def test_what_a_release_lacks_is_named(write_corpus: Write) -> None:
    root = write_corpus(release="development")
    write_corpus(root=root, release="additional", machines=["fan"], ids=["01"])
    corpus = folder(root, machines=["fan", "pump"])
    corpus.check(DEVELOPMENT)
    with pytest.raises(AsdError, match=r"additional: machine types not there.* pump \(found: fan"):
        corpus.check(["development", "additional"])
    with pytest.raises(AsdError, match=r"evaluation: machine types not there.*found: none"):
        corpus.check(["evaluation"])
    write_corpus(root=root, release="evaluation", normal=0, anomaly=0)
    with pytest.raises(AsdError, match="no test clips in release evaluation, machine type fan"):
        corpus.check(["evaluation"])
    flat = folder(write_corpus(root=root.parent / "flat"))
    with pytest.raises(AsdError, match=r"additional: machine types not there.*found: none"):
        flat.check(["development", "additional"])
    with pytest.raises(AsdError, match="release=first: must be one of development, additional"):
        flat.check(["first"])


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("rate", 0),
        ("channel", "left"),
        ("on_bad_clip", "ignore"),
        ("machines", []),
        ("ids", []),
    ],
)
def test_wrong_options(option: str, value: object) -> None:
    with pytest.raises(AsdError, match=f"data.{option}="):
        folder("x", **{option: value})


# Labels of evaluation clips

LIST = """fan,,
id_01_00000000.wav,normal_id_01_00000098.wav,0
id_01_00000001.wav,anomaly_id_01_00000098.wav,1
pump
id_01_00000000.wav,anomaly_id_01_00000007.wav,1
id_01_00000001.wav,normal_id_01_00000003.wav,0

"""


@pytest.fixture
def evaluation(write_corpus: Write) -> Path:
    return write_corpus(release="evaluation", ids=["01"], train=0, normal=0, anomaly=0, open_test=2)


@pytest.mark.parametrize("place", ["eval_data_list.csv", "evaluation/eval_data_list.csv"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_labels(
    evaluation: Path, place: str, newline: str, caplog: pytest.LogCaptureFixture
) -> None:
    (evaluation / place).write_bytes(LIST.replace("\n", newline).encode())
    clips = folder(evaluation).manifest(["evaluation"]).clips
    assert clips["label"].tolist() == [0, 1, 1, 0]  # fan, then pump
    assert caplog.records == []


def test_clips_without_a_label(evaluation: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = LIST.splitlines()
    (evaluation / "eval_data_list.csv").write_text("\n".join(lines[:2]))
    clips = folder(evaluation).manifest(["evaluation"]).clips
    assert clips["label"].tolist() == [0, -1, -1, -1]
    assert "3 clips have no label, nor has eval_data_list.csv any" in caplog.text


@pytest.mark.parametrize(
    "line", ["id_01_00000000.wav,normal_id_01_00000098.wav,2", "a,b,c,d", "a,b"]
)
def test_broken_list(evaluation: Path, line: str) -> None:
    (evaluation / "eval_data_list.csv").write_text(f"fan\n{line}\n")
    with pytest.raises(AsdError, match=r"eval_data_list\.csv: cannot be used \(line 2 .*fetch"):
        folder(evaluation).manifest(["evaluation"])


def test_real_recordings(real_audio: Path) -> None:
    corpus = folder(real_audio / "mimii_fan")
    manifest = corpus.manifest(DEVELOPMENT)
    assert counts(corpus, DEVELOPMENT) == {
        ("development", "fan", "00", "train", 0): 12,
        ("development", "fan", "00", "test", 0): 8,
        ("development", "fan", "00", "test", 1): 20,
    }
    assert set(manifest.clips["samples"]) == {160000}
    assert set(manifest.clips["rate"]) == {16000}
