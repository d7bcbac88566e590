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
from corpora import feature_store, folder

from asd.data.manifest import Manifest, parts_of
from asd.errors import AsdError
from asd.features.part import write_part, writing
from asd.features.store import FeatureStore
from asd.frontends.frontend import FrontEnd
from asd.frontends.gammatone import Gammatone
from asd.frontends.mel import Mel

GAMMATONE = Gammatone(bands=16)
MEL = Mel(bands=32, n_fft=512, hop=256)
ROOT = Path(__file__).resolve().parents[2]


def manifest_of(root: Path) -> Manifest:
    return folder(root).manifest(["development"])


def train_clips(root: Path) -> Manifest:
    return manifest_of(root).select(split="train")


@pytest.fixture
def corpus(write_corpus: Callable[..., Path]) -> Path:
    """Two machine types, two IDs each, three training and four test clips an ID."""
    return write_corpus(seconds=0.2)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return feature_store(tmp_path / "cache" / "features", GAMMATONE)


def files(store: FeatureStore, ending: str) -> list[Path]:
    return sorted(p for p in store.folder.glob(f"*{ending}") if p.name != "settings.json")


def expected_of(clips: Manifest, frontend: FrontEnd = GAMMATONE) -> np.ndarray:
    waves = (soundfile.read(clips.root / p, dtype="float32")[0] for p in clips.clips["path"])
    return np.concatenate([frontend.features(wave) for wave in waves])


BUILD = """
import logging, sys
from pathlib import Path
root, cache, precision, tests = sys.argv[1:]
sys.path.insert(0, tests)
from corpora import feature_store, folder
from asd.exit_status import exit_status
from asd.frontends.gammatone import Gammatone
logging.basicConfig(level=logging.INFO)

def build():
    frontend = Gammatone(bands=16, precision=precision)
    store = feature_store(Path(cache) / "features", frontend)
    store.build(folder(Path(root), cache=cache).manifest(["development"]))

sys.exit(exit_status(build))
"""


def build_command(root: Path, cache: Path, precision: str = "float32") -> list[str]:
    """What a run does before it trains, as a process."""
    return [sys.executable, "-c", BUILD, str(root), str(cache), precision, str(ROOT / "tests")]


# What is stored


@pytest.mark.parametrize("frontend", [GAMMATONE, MEL], ids=["gammatone", "mel"])
def test_holds_what_the_front_end_gives(frontend: FrontEnd, corpus: Path, tmp_path: Path) -> None:
    clips = manifest_of(corpus)
    got = feature_store(tmp_path / "features", frontend).load(clips)
    np.testing.assert_array_equal(got.values, expected_of(clips, frontend))
    assert got.frames.tolist() == [len(got.values) // 28] * 28


def test_part_is_mapped_and_torch_takes_it_as_it_is(corpus: Path, store: FeatureStore) -> None:
    import torch

    clips = next(parts_of(train_clips(corpus)))
    part = store.part(clips)
    assert isinstance(part.values, np.memmap)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = torch.from_numpy(part.values)
    tensor.zero_()
    np.testing.assert_array_equal(store.part(clips).values, expected_of(clips))


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


def test_computed_once_wherever_the_clips_lie(
    corpus: Path, store: FeatureStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.build(manifest_of(corpus))
    names = files(store, ".npy")
    assert json.loads((store.folder / "settings.json").read_text())["frontend"]["bands"] == 16
    caplog.set_level(logging.INFO)
    clips = manifest_of(corpus.rename(tmp_path / "moved"))
    expected = expected_of(clips)
    shutil.rmtree(tmp_path / "moved")
    np.testing.assert_array_equal(store.load(clips).values, expected)
    assert files(store, ".npy") == names
    assert "features: " not in caplog.text


def test_changed_contents_are_another_part(corpus: Path, store: FeatureStore) -> None:
    store.build(manifest_of(corpus))
    changed = corpus / "fan" / "train" / "normal_id_00_00000000.wav"
    wave, rate = soundfile.read(changed)
    soundfile.write(changed, wave[::-1], rate)
    clips = train_clips(corpus)
    np.testing.assert_array_equal(store.load(clips).values, expected_of(clips))
    assert len(files(store, ".npy")) == 5


@pytest.mark.parametrize("level", [1.0, 1e-3, 1e-6, 0.0])
def test_float16_error_is_bounded(
    level: float, write_corpus: Callable[..., Path], store: FeatureStore
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


def test_processes_map_one_shared_copy(
    corpus: Path, store: FeatureStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clips, shared = manifest_of(corpus), replace(store, shared=tmp_path / "shared")
    first = shared.load(clips)
    assert isinstance(first.values, np.memmap)
    first.values[:] = 7.0  # a copy of the page: neither the file nor other processes see it
    np.testing.assert_array_equal(shared.load(clips).values, expected_of(clips))
    (data,) = (tmp_path / "shared").glob("*.npy")
    flip_a_byte(data)
    np.testing.assert_array_equal(shared.load(clips).values, expected_of(clips))
    assert f"{data}: damaged" in caplog.text


# The key


def test_key_follows_from_all_that_changes_the_numbers(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Changed(Gammatone):
        version = 2

    Changed.__qualname__ = "Gammatone"
    base = feature_store(tmp_path, GAMMATONE)
    double = replace(GAMMATONE, precision="float64")
    frontends = (MEL, Changed(bands=16), replace(GAMMATONE, bands=17), double)
    others = [replace(base, frontend=frontend) for frontend in frontends]
    others += [replace(base, dtype="float16"), replace(base, channel=0)]
    assert len({s.folder for s in [base, *others]}) == 7
    same = [replace(base, frontend=replace(GAMMATONE, f_min=0))]
    assert {s.folder for s in same} == {base.folder}


# What goes wrong


def flip_a_byte(data: Path) -> None:
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": lambda data: data.unlink(),
    "a byte": flip_a_byte,
    "empty": lambda data: data.write_bytes(b""),
    "cut": lambda data: data.write_bytes(data.read_bytes()[:-100]),
    "lengthened": lambda data: data.write_bytes(data.read_bytes() + b"x"),
    "header": lambda data: data.write_bytes(b"no array" + data.read_bytes()[8:]),
    "type": lambda data: data.write_bytes(data.read_bytes().replace(b"<f4", b"<i4")),
    "another's": lambda data: shutil.copy(next(data.parent.glob("*-test-*.npy")), data),
    "more frames": lambda data: write_part(data, [np.zeros((61, 16), np.float32)]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_said_and_computed_again(
    damage: str, corpus: Path, store: FeatureStore, caplog: pytest.LogCaptureFixture
) -> None:
    clips = next(parts_of(train_clips(corpus)))
    expected = expected_of(clips)
    store.build(manifest_of(corpus))
    data = store.file(clips)
    contents = data.read_bytes()
    for read in (store.load, store.part):
        DAMAGES[damage](data)
        caplog.clear()
        np.testing.assert_array_equal(read(clips).values, expected)
        warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
        if damage != "gone":  # what is not there is no damage
            assert f"{data}: damaged" in warnings.pop() and not warnings
        assert data.read_bytes() == contents


def test_a_clip_that_cannot_be_read_is_named(corpus: Path, store: FeatureStore) -> None:
    clips = train_clips(corpus)
    bad = corpus / clips.clips["path"].iloc[-1]
    content = bad.read_bytes()
    bad.unlink()
    with pytest.raises(AsdError, match=f"{bad.name}: cannot be read"):
        store.load(clips)
    bad.write_bytes(content[:-10] + bytes(10))
    with pytest.raises(AsdError, match=f"{bad.name}: changed since the corpus was checked"):
        store.load(clips)
    assert [p.stem.rsplit("-", 1)[0] for p in files(store, "")] == ["development-fan-train"]
    soundfile.write(bad, np.zeros(160), 16000)
    with pytest.raises(AsdError, match=f"{bad.name}: clip of 160 samples is too short"):
        store.build(manifest_of(corpus))


def test_features_beyond_float16_are_refused(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute, clips = Gammatone.features, train_clips(corpus)
    monkeypatch.setattr(Gammatone, "features", lambda self, wave: compute(self, wave) - 1e5)
    feature_store(tmp_path / "features", GAMMATONE).load(clips)
    with pytest.raises(AsdError, match=r"normal_id_.*not finite as float16"):
        feature_store(tmp_path / "features", GAMMATONE, dtype="float16").load(clips)


@pytest.mark.parametrize(("option", "value"), [("dtype", "float64")])
def test_wrong_options(option: str, value: object, tmp_path: Path) -> None:
    with pytest.raises(AsdError, match=f"features.{option}={value}: must be"):
        feature_store(tmp_path, GAMMATONE, **{option: value})


def test_a_folder_that_cannot_be_written_is_named(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for shared in (None, tmp_path / "file" / "shared"):
        root = tmp_path / "features" if shared else tmp_path / "file" / "features"
        with pytest.raises(AsdError, match=r"file/(features|shared).*set paths.cache"):
            feature_store(root, GAMMATONE, shared=shared).load(train_clips(corpus))


def test_a_full_disk_is_said_and_nothing_passes_for_complete(
    write_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    root = write_corpus(seconds=1.0, machines=["fan"])  # 24 and 32 kB of features
    cache = tmp_path / "cache"
    folder(root, cache=cache).manifest(["development"])

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, 15_000))

    done = subprocess.run(
        build_command(root, cache), preexec_fn=limit, capture_output=True, text=True, cwd=ROOT,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "development-fan-" in done.stderr
    assert "Free some space" in done.stderr
    assert not list(cache.glob("features/*/*fan*"))
    clips = manifest_of(root)
    got = feature_store(cache / "features", GAMMATONE).load(clips)
    np.testing.assert_array_equal(got.values, expected_of(clips))


# Several processes, and those that are killed


def test_two_processes_at_once_compute_once(corpus: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    store = feature_store(cache / "features", GAMMATONE)
    log_files = [tmp_path / f"log{i}" for i in range(2)]
    with writing(store.folder):  # until both have come to it
        processes = []
        for path in log_files:
            with path.open("w") as log:
                arguments = build_command(corpus, cache)
                processes.append(subprocess.Popen(arguments, stderr=log, stdout=log, cwd=ROOT))
        until = time.monotonic() + 60
        while not all("waiting for another" in path.read_text() for path in log_files):
            assert time.monotonic() < until, [path.read_text() for path in log_files]
            time.sleep(0.02)
    assert [process.wait(60) for process in processes] == [0, 0]
    texts = [path.read_text() for path in log_files]
    assert sum(text.count("gammatone features: 100 %") for text in texts) == 1
    assert [text.count("waiting for another") for text in texts] == [1, 1]
    assert store.load(manifest_of(corpus)).values.shape == (28 * 10, 16)


def test_killed_while_building_ends_with_the_same_bytes(
    write_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    root = write_corpus(machines=["fan"], ids=["00"], train=40, normal=40, seconds=3.0)
    store = feature_store(tmp_path / "cache" / "features", Gammatone(bands=16, precision="float64"))
    arguments = build_command(root, tmp_path / "cache", "float64")
    process = subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not files(store, ".npy"):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60)
    (kept,) = files(store, ".npy")
    stamp = kept.stat().st_mtime_ns
    (store.folder / ".development-fan-train-0123456789ab.npy.7.partial").write_bytes(b"half")

    clips = folder(root, cache=tmp_path / "cache").manifest(["development"])
    store.build(clips)
    fresh = replace(store, root=tmp_path / "fresh")
    fresh.build(clips)
    assert len(files(fresh, "")) == 2
    assert kept.stat().st_mtime_ns == stamp
    for path in files(fresh, ""):
        assert (store.folder / path.name).read_bytes() == path.read_bytes()
    assert [p.name for p in files(store, "")] == [p.name for p in files(fresh, "")]


def test_torch_has_one_thread_in_each_worker(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    seen, compute, before = [], Mel.features, torch.get_num_threads()

    def features(self: Mel, wave: np.ndarray) -> np.ndarray:
        seen.append(torch.get_num_threads())
        return compute(self, wave)

    monkeypatch.setattr(Mel, "features", features)
    torch.set_num_threads(2)
    try:
        store = feature_store(tmp_path / "features", MEL)
        store.build(folder(corpus, machines=["fan"]).manifest(["development"]))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert len(seen) == 14
    assert set(seen[1:6]) == {1}  # the first clip is computed before the pool starts
