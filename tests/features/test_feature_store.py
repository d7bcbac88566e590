"""The feature store, with the real front ends on tiny clips."""

from __future__ import annotations

import json
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from asd.data.folder import Folder
from asd.data.manifest import Manifest
from asd.errors import AsdError
from asd.features import FeatureStore, lock_of, parts_of
from asd.features import command as feature_cli
from asd.frontends.frontend import FrontEnd
from asd.frontends.gammatone import Gammatone
from asd.frontends.mel import Mel

GAMMATONE = Gammatone(bands=16)
MEL = Mel(bands=32, n_fft=512, hop=256)
SMALL = ["frontend.bands=16", "features.workers=2"]
ROOT = Path(__file__).resolve().parents[2]


def manifest_of(root: Path) -> Manifest:
    return Folder(root).manifest(["development"])


def train_clips(root: Path) -> Manifest:
    return manifest_of(root).select(split="train")


@pytest.fixture
def corpus(write_corpus: Callable[..., Path]) -> Path:
    """Two machine types, two IDs each, three training and four test clips an ID."""
    return write_corpus(seconds=0.2)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "cache" / "features", GAMMATONE)


def files(store: FeatureStore, ending: str) -> list[Path]:
    return sorted(p for p in store.folder.glob(f"*{ending}") if p.name != "settings.json")


def of_file(frontend: FrontEnd, path: Path) -> np.ndarray:
    wave, _ = soundfile.read(path, dtype="float32")
    return frontend.features(wave)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "asd.features", *map(str, arguments)]


def build_command(root: Path, cache: Path, *more: str) -> list[str]:
    options = ["data=folder", f"data.root={root}", f"paths.cache={cache}", *SMALL, *more]
    return command("build", *options)


# What is stored


@pytest.mark.parametrize("frontend", [GAMMATONE, MEL], ids=["gammatone", "mel"])
def test_holds_what_the_front_end_gives(frontend: FrontEnd, corpus: Path, tmp_path: Path) -> None:
    clips = manifest_of(corpus)
    got = FeatureStore(tmp_path / "features", frontend).load(clips)
    expected = [of_file(frontend, corpus / path) for path in clips.clips["path"]]
    np.testing.assert_array_equal(got.values, np.concatenate(expected))
    assert got.frames.tolist() == [len(e) for e in expected]


def test_part_is_mapped_and_torch_takes_it_as_it_is(corpus: Path, store: FeatureStore) -> None:
    import torch

    clips = next(parts_of(train_clips(corpus)))
    part = store.part(clips)
    assert isinstance(part.values, np.memmap)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = torch.from_numpy(part.values)
    tensor.zero_()
    np.testing.assert_array_equal(store.part(clips).values, store.load(clips).values)
    assert store.part(clips).values.any()


def test_load_keeps_one_copy_that_can_be_written(corpus: Path, store: FeatureStore) -> None:
    clips = manifest_of(corpus)
    many = pd.concat([clips.clips.iloc[:6]] * 300).sort_values(["machine", "path"])
    clips = Manifest(clips.root, many.reset_index(drop=True))
    store.build(clips)
    tracemalloc.start()
    try:
        got = store.load(clips)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert got.values.nbytes > 1e6
    assert peak - got.values.nbytes < 0.75 * got.values.nbytes  # a second copy would be all of it
    assert got.values.flags.writeable
    assert got.values.flags.owndata


def test_computed_once_and_never_read_again(
    corpus: Path, store: FeatureStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clips = manifest_of(corpus)
    first = store.load(clips)
    shutil.rmtree(corpus)
    second = store.load(clips)
    np.testing.assert_array_equal(first.values, second.values)
    assert caplog.text.count("computing") == 1


def test_only_new_contents_are_computed(
    corpus: Path,
    store: FeatureStore,
    caplog: pytest.LogCaptureFixture,
    write_clip: Callable[..., Path],
) -> None:
    store.build(train_clips(corpus))
    old = sorted((corpus / "fan" / "train").iterdir())
    contents = [path.read_bytes() for path in old]
    for path in old[:-1]:
        path.unlink()  # only the last one and a new one are left: what is stored must be used
    write_clip(corpus / "fan" / "train" / "normal_id_09_00000000.wav", seed=77, seconds=0.2)
    clips = train_clips(corpus).select(machine="fan")
    old[-1].write_bytes(b"not a sound any more")
    assert len(clips) == 2
    assert store.load(clips).values.shape == (20, 16)
    old[-1].write_bytes(contents[-1])
    expected = [of_file(GAMMATONE, corpus / path) for path in clips.clips["path"]]
    np.testing.assert_array_equal(store.load(clips).values, np.concatenate(expected))


def test_clips_of_another_rate_have_the_frames_that_resampling_gives(
    write_corpus: Callable[..., Path], store: FeatureStore
) -> None:
    from asd.data.audio import read_clip

    root = write_corpus(rate=44100, seconds=0.1003, machines=["fan"], ids=["00"])
    clips = train_clips(root)
    got = store.load(clips)
    expected = [GAMMATONE.features(read_clip(root / p, 16000)) for p in clips.clips["path"]]
    np.testing.assert_array_equal(got.values, np.concatenate(expected))


def test_unsorted_clips_are_refused(corpus: Path, store: FeatureStore) -> None:
    clips = train_clips(corpus)
    mixed = clips.clips.sort_values("hash").reset_index(drop=True)
    with pytest.raises(ValueError, match="sorted"):
        store.load(Manifest(clips.root, mixed))


@pytest.mark.parametrize("level", [1.0, 1e-3, 1e-6, 0.0])
def test_float16_error_is_bounded(
    level: float, write_corpus: Callable[..., Path], store: FeatureStore, tmp_path: Path
) -> None:
    root = write_corpus(machines=["fan"], ids=["00"], train=2)
    for path in (root / "fan" / "train").iterdir():
        wave, rate = soundfile.read(path)
        soundfile.write(path, wave * level, rate, subtype="FLOAT")
    clips = train_clips(root)
    exact = store.load(clips).values
    half = replace(store, dtype="float16").load(clips).values
    assert half.dtype == np.float16
    error = np.abs(half.astype(np.float64) - exact)
    # Half a step of 11 binary digits: 1/32 dB to -128 dB, 1/16 to -256, 1/8 to -512.
    bound = 2.0 ** (np.ceil(np.log2(np.maximum(np.abs(exact), 1))) - 12)
    assert (error <= bound).all()
    if level == 1.0:
        assert 0 < error.max() <= 1 / 32


# The key


def test_key_follows_from_all_that_changes_the_numbers(tmp_path: Path) -> None:
    base = FeatureStore(tmp_path, GAMMATONE)
    others = [
        FeatureStore(tmp_path, MEL),
        FeatureStore(tmp_path, replace(GAMMATONE, bands=17)),
        FeatureStore(tmp_path, replace(GAMMATONE, precision="float64")),
        FeatureStore(tmp_path, GAMMATONE, dtype="float16"),
        FeatureStore(tmp_path, GAMMATONE, channel=0),
        FeatureStore(tmp_path, GAMMATONE, channel="mean"),
    ]
    assert len({s.frontend_key() for s in [base, *others]}) == 7
    same = [
        FeatureStore(tmp_path / "elsewhere", GAMMATONE, workers=3),
        FeatureStore(tmp_path, replace(GAMMATONE, f_min=0)),
    ]
    assert {s.frontend_key() for s in same} == {base.frontend_key()}


def test_a_new_version_of_a_front_end_is_another_key(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Changed(Gammatone):
        version = 2

    Changed.__qualname__ = "Gammatone"
    before, after = FeatureStore(tmp_path, Gammatone()), FeatureStore(tmp_path, Changed())
    assert before.frontend_key() != after.frontend_key()


def test_contents_decide_and_not_the_folders_place(
    corpus: Path, store: FeatureStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.build(manifest_of(corpus))
    names = files(store, ".npy")
    moved = corpus.rename(tmp_path / "moved")
    caplog.set_level(logging.INFO)
    store.build(manifest_of(moved))
    assert files(store, ".npy") == names
    assert "computing" not in caplog.text

    changed = moved / "fan" / "train" / "normal_id_00_00000000.wav"
    wave, rate = soundfile.read(changed)
    soundfile.write(changed, wave[::-1], rate)
    clips = train_clips(moved)
    expected = np.concatenate([of_file(GAMMATONE, moved / p) for p in clips.clips["path"]])
    np.testing.assert_array_equal(store.load(clips).values, expected)
    assert len(files(store, ".npy")) == len(names) + 1


def test_the_folder_says_what_it_holds(corpus: Path, store: FeatureStore) -> None:
    store.build(train_clips(corpus))
    settings = json.loads((store.folder / "settings.json").read_text())
    assert settings["frontend"]["bands"] == 16
    assert settings["dtype"] == "float32"
    assert settings["channel"] is None


# What goes wrong


def flip_a_byte(data: Path, record: Path) -> None:
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)


def cut(data: Path, record: Path) -> None:
    data.write_bytes(data.read_bytes()[:-100])


def lengthen(data: Path, record: Path) -> None:
    data.write_bytes(data.read_bytes() + b"x")


def break_header(data: Path, record: Path) -> None:
    data.write_bytes(b"no array" + data.read_bytes()[8:])


def break_record(data: Path, record: Path) -> None:
    record.write_text(record.read_text()[:-30])


def empty_record(data: Path, record: Path) -> None:
    record.write_text("{}")


def record_of_others(data: Path, record: Path) -> None:
    content = json.loads(record.read_text())
    content["hashes"].reverse()
    record.write_text(json.dumps(content))


def shifted_record(data: Path, record: Path) -> None:
    content = json.loads(record.read_text())
    content["frames"][0] += 1
    content["frames"][1] -= 1
    record.write_text(json.dumps(content))


DAMAGES = [
    flip_a_byte,
    cut,
    lengthen,
    break_header,
    break_record,
    empty_record,
    record_of_others,
    shifted_record,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda f: f.__name__)
def test_damage_is_said_and_computed_again(
    damage: Callable[[Path, Path], None],
    corpus: Path,
    store: FeatureStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clips = next(parts_of(train_clips(corpus)))
    expected = store.load(clips)
    data, record = files(store, ".npy")[0], files(store, ".json")[0]
    contents = data.read_bytes(), record.read_bytes()
    for read in (store.load, store.part):
        damage(data, record)
        caplog.clear()
        got = read(clips)
        np.testing.assert_array_equal(got.values, expected.values)
        assert got.frames.tolist() == expected.frames.tolist()
        said = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
        assert len(said) == 1
        assert str(data) in said[0]
        assert "computed again" in said[0]
        assert (data.read_bytes(), record.read_bytes()) == contents
    assert not files(store, ".partial") + files(store, ".journal")


@pytest.mark.parametrize("missing", [".npy", ".json"])
def test_half_a_part_is_computed_again(missing: str, corpus: Path, store: FeatureStore) -> None:
    clips = next(parts_of(train_clips(corpus)))
    expected = store.load(clips).values
    files(store, missing)[0].unlink()
    np.testing.assert_array_equal(store.load(clips).values, expected)


def test_a_clip_that_cannot_be_read_is_named_and_the_others_kept(
    corpus: Path, store: FeatureStore, caplog: pytest.LogCaptureFixture
) -> None:
    clips = train_clips(corpus)
    bad = corpus / clips.clips["path"].iloc[-1]
    content = bad.read_bytes()
    bad.unlink()
    with pytest.raises(AsdError, match=bad.name):
        store.load(clips)
    bad.write_bytes(content[:-10] + bytes(10))
    with pytest.raises(AsdError, match=f"{bad.name}: changed since the corpus was checked"):
        store.load(clips)
    bad.write_bytes(content)
    caplog.set_level(logging.INFO)
    store.load(clips)
    assert "features of 1 clips; 5 are done already" in caplog.text


def test_a_clip_that_is_too_short_is_named(
    corpus: Path, store: FeatureStore, write_clip: Callable[..., Path]
) -> None:
    path = write_clip(corpus / "fan" / "train" / "normal_id_00_00000009.wav", seconds=0.01)
    with pytest.raises(AsdError, match=f"{path.name}: clip of 160 samples is too short"):
        store.build(manifest_of(corpus))


@dataclass(frozen=True)
class Infinite(Gammatone):
    """Gives what float16 cannot hold."""

    def features(self, wave: np.ndarray) -> np.ndarray:
        return super().features(wave) - 1e5


def test_features_beyond_float16_are_refused(corpus: Path, tmp_path: Path) -> None:
    clips = train_clips(corpus)
    FeatureStore(tmp_path / "features", Infinite()).load(clips)
    with pytest.raises(AsdError, match=r"normal_id_.*not finite numbers as float16"):
        FeatureStore(tmp_path / "features", Infinite(), "float16").load(clips)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float64"}, "features.dtype=float64: must be one of float32, float16"),
        ({"workers": 0}, "features.workers=0"),
        ({"channel": -1}, "data.channel=-1"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(AsdError, match=message):
        FeatureStore(tmp_path, GAMMATONE, **options)  # type: ignore[arg-type]


def test_a_folder_that_cannot_be_written_is_named(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AsdError, match=r"file/features.*set paths.cache"):
        FeatureStore(tmp_path / "file" / "features", GAMMATONE).build(train_clips(corpus))


def test_a_full_disk_is_said_and_nothing_passes_for_complete(
    write_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    root = write_corpus(seconds=1.0, machines=["fan"])  # 24 and 32 kB of features
    cache = tmp_path / "cache"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, 15_000))

    arguments = build_command(root, cache)
    done = subprocess.run(
        arguments, preexec_fn=limit, capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "development-fan-train" in done.stderr
    assert "Free some space or set paths.cache" in done.stderr
    assert not list(cache.glob("features/*/*fan*.npy")) + list(cache.glob("features/*/*fan*.json"))
    clips = manifest_of(root)
    got = FeatureStore(cache / "features", GAMMATONE).load(clips)
    expected = [of_file(GAMMATONE, root / path) for path in clips.clips["path"]]
    np.testing.assert_array_equal(got.values, np.concatenate(expected))


# Several processes, and those that are killed


def test_two_processes_at_once_compute_once(corpus: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    store = FeatureStore(cache / "features", GAMMATONE)
    store.root.mkdir(parents=True)
    log_files = [tmp_path / f"log{i}" for i in range(2)]
    with lock_of(store.folder):  # until both have come to it
        processes = []
        for path in log_files:
            with path.open("w") as log:
                arguments = build_command(corpus, cache)
                processes.append(subprocess.Popen(arguments, stderr=log, stdout=log, cwd=ROOT))
        until = time.monotonic() + 60
        while not all("waiting for it" in path.read_text() for path in log_files):
            assert time.monotonic() < until, [path.read_text() for path in log_files]
            time.sleep(0.02)
    assert [process.wait(60) for process in processes] == [0, 0]
    said = [path.read_text() for path in log_files]
    assert sum(text.count("computing gammatone") for text in said) == 1
    assert [text.count("waiting for it") for text in said] == [1, 1]
    assert all("28 clips" in text and "whole" in text for text in said)
    assert store.load(manifest_of(corpus)).values.shape == (28 * 10, 16)


def test_killed_while_building_goes_on_to_the_same_bytes(
    write_corpus: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_corpus(machines=["fan"], ids=["00"], train=40, normal=1, anomaly=0, seconds=3.0)
    frontend = Gammatone(bands=128, precision="float64")
    options = ["frontend.bands=128", "frontend.precision=float64", "features.workers=1"]
    store = FeatureStore(tmp_path / "cache" / "features", frontend, workers=2)
    arguments = build_command(root, tmp_path / "cache", *options)
    process = subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not any(path.stat().st_size >= 40 for path in store.folder.glob("*train*.journal")):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60)
    assert list(store.folder.glob("*train*.partial"))
    assert not list(store.folder.glob("*train*.npy"))

    caplog.set_level(logging.INFO)
    clips = manifest_of(root)
    store.build(clips)
    assert "are done already" in caplog.text
    fresh = replace(store, root=tmp_path / "fresh")
    fresh.build(clips)
    assert len(files(fresh, "")) == 4
    for path in files(fresh, ""):
        assert (store.folder / path.name).read_bytes() == path.read_bytes()
    assert [p.name for p in files(store, "")] == [p.name for p in files(fresh, "")]


@pytest.mark.parametrize("spoil", ["data", "journal", "header", "between the last steps"])
def test_what_a_power_cut_leaves_is_not_believed(
    spoil: str, corpus: Path, store: FeatureStore
) -> None:
    clips = next(parts_of(train_clips(corpus)))
    expected = store.load(clips).values
    last = corpus / clips.clips["path"].iloc[-1]
    content = last.read_bytes()
    shutil.rmtree(store.folder)
    last.unlink()
    with pytest.raises(AsdError):
        store.load(clips)
    partial, journal = files(store, ".partial")[0], files(store, ".journal")[0]
    if spoil == "data":  # the journal reached the disk before the features did
        partial.write_bytes(partial.read_bytes()[:128] + bytes(partial.stat().st_size - 128))
    elif spoil == "journal":
        journal.write_bytes(journal.read_bytes()[:-3])
    elif spoil == "header":
        partial.write_bytes(b"")
    else:
        partial.rename(partial.with_suffix(""))
    last.write_bytes(content)
    np.testing.assert_array_equal(store.load(clips).values, expected)


@dataclass(frozen=True)
class Threads(Mel):
    """Mel that writes down how many threads torch has where it is computed."""

    seen = []  # noqa: RUF012

    def features(self, wave: np.ndarray) -> np.ndarray:
        import torch

        self.seen.append(torch.get_num_threads())
        return super().features(wave)


def test_torch_has_one_thread_in_each_worker(corpus: Path, tmp_path: Path) -> None:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        FeatureStore(tmp_path / "features", Threads(), workers=2).load(train_clips(corpus))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(Threads.seen[1:]) == {1}  # the first clip is computed before the pool starts


# The command line


@pytest.fixture
def cache(corpus: Path, tmp_path: Path) -> Path:
    """A cache folder with features of two front ends."""
    cache = tmp_path / "cache"
    for frontend in (GAMMATONE, MEL):
        FeatureStore(cache / "features", frontend).build(manifest_of(corpus))
    return cache


def run(cache: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    status = feature_cli.main([*arguments, f"paths.cache={cache}"])
    shown = capsys.readouterr()
    return status, shown.out + shown.err


def keys_of(cache: Path) -> list[str]:
    return sorted(p.name for p in (cache / "features").iterdir() if p.is_dir())


def test_build_computes_what_a_run_reads(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["data=folder", f"data.root={corpus}", "frontend=mel", "features.dtype=float16"]
    status, said = run(tmp_path / "cache", capsys, "build", *options)
    assert status == 0
    assert "28 clips" in said
    store = FeatureStore(tmp_path / "cache" / "features", Mel(), "float16")
    shutil.rmtree(corpus / "pump")
    assert len(store.load(train_clips(corpus).select(machine="fan")).frames) == 6


def test_build_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (["data=folder", f"data.root={tmp_path / 'nowhere'}"], "nowhere"),
        (["frontend.bands=0"], "frontend.bands=0"),
        (["frontnd=mel"], "frontnd"),
        (["gammatone"], "gammatone: is for prune"),
    ):
        status, said = run(tmp_path, capsys, "build", *words)
        assert status == 2
        assert message in said


def test_list_shows_settings_and_state(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = run(cache, capsys, "list")
    assert status == 0
    for key in keys_of(cache):
        assert f"{key}: float32, 28 clips in 4 parts, " in said
    assert said.count("used just now, whole") == 2
    assert "bands=16" in said and "n_fft=512" in said

    data = sorted((cache / "features").glob("mel-*/*.npy"))[0]
    flip_a_byte(data, data)
    assert "1 damaged" not in run(cache, capsys, "list", "--quick")[1]
    assert f"{data.stem} is damaged: 1 of " in run(cache, capsys, "list")[1]
    data.with_suffix(".json").unlink()
    (data.parent / "settings.json").write_text("?")
    said = run(cache, capsys, "list", "--quick")[1]
    assert f"{data.stem} is damaged: one of its two files is missing" in said
    assert "settings not known" in said


def test_list_of_no_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, capsys, "list") == (0, f"{tmp_path / 'features'}: no features\n")


def test_prune_by_key(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gammatone, mel = keys_of(cache)
    status, said = run(cache, capsys, "prune", mel, "--dry-run")
    assert status == 0
    assert said.count(f"would remove {mel}/") == 4
    assert keys_of(cache) == [gammatone, mel]
    assert run(cache, capsys, "prune", mel)[0] == 0
    assert keys_of(cache) == [gammatone]
    status, said = run(cache, capsys, "prune", mel)
    assert status == 2
    assert f"there is {gammatone}" in said


def test_prune_what_is_damaged(
    cache: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = sorted((cache / "features").glob("gammatone-*/*.npy"))
    flip_a_byte(data[1], data[1])
    status, said = run(cache, capsys, "prune", "--damaged")
    assert status == 0
    assert said.count("removed ") == 1
    assert data[1].stem in said
    assert sorted((cache / "features").glob("gammatone-*/*.npy")) == [data[0], *data[2:]]
    FeatureStore(cache / "features", GAMMATONE).build(manifest_of(corpus))
    assert sorted((cache / "features").glob("gammatone-*/*.npy")) == data


def test_prune_what_was_not_used_for_long(
    cache: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long_ago = time.time() - 40 * 86400
    for path in (cache / "features").glob("*/*"):
        os.utime(path, (long_ago, long_ago))
    FeatureStore(cache / "features", MEL).load(train_clips(corpus))
    assert run(cache, capsys, "prune", "--older-than", "41")[1] == "0 bytes freed\n"
    said = run(cache, capsys, "prune", "--older-than", "39")[1]
    gone = [line for line in said.splitlines() if line.startswith("removed")]
    assert len(gone) == 6  # gammatone's four, and mel's two of test clips
    left = sorted(path.stem.rsplit("-", 1)[0] for path in (cache / "features").glob("*/*.npy"))
    assert left == ["development-fan-train", "development-pump-train"]


def test_prune_leaves_alone_what_is_being_built(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gammatone, mel = keys_of(cache)
    with lock_of(cache / "features" / gammatone):
        status, said = run(cache, capsys, "prune", "--all")
    assert status == 0
    assert f"left alone, for another process is computing there: {gammatone}" in said
    assert keys_of(cache) == [gammatone]
    assert len(list((cache / "features" / gammatone).glob("*.npy"))) == 4
    assert mel in said


def test_prune_takes_unfinished_parts_with_their_key(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = train_clips(corpus)
    cache = tmp_path / "cache"
    store = FeatureStore(cache / "features", GAMMATONE)
    (corpus / clips.clips["path"].iloc[-1]).unlink()
    with pytest.raises(AsdError):
        store.build(clips)
    assert "1 unfinished" in run(cache, capsys, "list")[1]
    assert run(cache, capsys, "prune", "--damaged")[1] == "0 bytes freed\n"
    run(cache, capsys, "prune", store.folder.name)
    assert keys_of(cache) == []


def test_prune_must_be_told_what(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--dry-run"], ["--all", "--damaged"], ["--older-than", "-1"]):
        assert run(cache, capsys, "prune", *words)[0] == 2
    assert len(list((cache / "features").glob("*/*.npy"))) == 8
