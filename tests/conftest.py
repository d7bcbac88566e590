"""Fixtures that several test files use."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

# Before numpy: two cores are shared by all test processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import soundfile
from postgres import Postgres, cluster

# A shell that starts this in the background has Ctrl-C ignored, and so would all programs here.
signal.signal(signal.SIGINT, signal.default_int_handler)

REAL_AUDIO = Path(__file__).resolve().parents[1].parent / "shared" / "audio"

# Files whose tests share something that takes long to start: a server, a cluster, processes with
# torch. One worker runs all of such a file, and these first, since they take longest.
WHOLE_FILES = (
    "tests/sweeps/test_slurm.py",
    "tests/sweeps/test_kill.py",
    "tests/sweeps/test_ray.py",
    "tests/tracking/test_server.py",
    "tests/test_register.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: not item.nodeid.startswith(WHOLE_FILES))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal tests out one by one, but the files above whole.

    xdist's own way of saying this, ``xdist_group``, has no effect with this pytest.
    """
    from xdist.scheduler import LoadScopeScheduling

    class WholeFiles(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return file if file in WHOLE_FILES else nodeid

    return WholeFiles(config, log)


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Undo what Hydra does to the root logger when a program is run in this process."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture(autouse=True)
def tracker_of_a_test() -> Iterator[None]:
    """MLflow's set_tracking_uri leaves its address in the environment, for later tests too."""
    yield
    os.environ.pop("MLFLOW_TRACKING_URI", None)


WriteClip = Callable[..., Path]
WriteCorpus = Callable[..., Path]


def _write_clip(
    path: Path,
    *,
    seed: int = 0,
    rate: int = 16000,
    seconds: float = 0.1,
    subtype: str = "PCM_16",
) -> Path:
    """Noise at a tenth of full scale."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = 0.1 * np.random.default_rng(seed).standard_normal(round(rate * seconds))
    soundfile.write(path, noise.clip(-1, 1), rate, subtype=subtype, format="WAV")
    return path


@pytest.fixture
def write_clip() -> WriteClip:
    """``write_clip(path, seed=0, rate=16000, seconds=0.1, subtype="PCM_16")``: a noise WAV."""
    return _write_clip


@pytest.fixture
def write_corpus(tmp_path: Path) -> WriteCorpus:
    """``write_corpus(...)`` writes a tiny corpus in DCASE 2020's layout and returns its root.

    Every clip is another noise. ``release`` None gives ``<root>/<machine>/{train,test}``, else
    ``<root>/<release>/<machine>/{train,test}``; call it again with the same root for another.
    ``open_test`` clips are named ``id_...``, without a label.
    """

    def write(
        *,
        root: Path | None = None,
        release: str | None = None,
        machines: Sequence[str] = ("fan", "pump"),
        ids: Sequence[str] = ("00", "02"),
        train: int = 3,
        normal: int = 2,
        anomaly: int = 2,
        open_test: int = 0,
        rate: int = 16000,
        seconds: float = 0.1,
    ) -> Path:
        root = root or tmp_path / "corpus"
        place = root if release is None else root / release
        counts = {
            "train/normal_": train,
            "test/normal_": normal,
            "test/anomaly_": anomaly,
            "test/": open_test,
        }
        for m, machine in enumerate(machines):
            for i, machine_id in enumerate(ids):
                for k, (prefix, count) in enumerate(counts.items()):
                    for n in range(count):
                        seed = n + 1000 * (k + 10 * (i + 10 * m))
                        path = place / machine / f"{prefix}id_{machine_id}_{n:08d}.wav"
                        _write_clip(path, seed=seed, rate=rate, seconds=seconds)
        return root

    return write


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL cluster of the module's own, with a user ``mlflow``."""
    with cluster() as made:
        yield made


@pytest.fixture(scope="session")
def real_audio() -> Path:
    """Folder of real recordings in the folder layout, e.g. ``mimii_fan/fan/{train,test}``."""
    if not (REAL_AUDIO / "mimii_fan" / "fan" / "train").is_dir():
        pytest.skip("no real recordings beside the checkout")
    return REAL_AUDIO


@pytest.fixture(scope="session")
def shared_data(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """One simulated corpus and one feature store for all tests and workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    return [
        f"paths.data={folder / 'data'}",
        f"paths.cache={folder / 'cache'}",
        "scale=tiny",
        "pictures=off",
    ]


@pytest.fixture
def run_train(
    shared_data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Runs the command-line program in this process; gives its exit status."""
    from asd import train as program

    def run(*arguments: str) -> int:
        monkeypatch.chdir(tmp_path)
        flags = [a for a in arguments if a.startswith("-")]
        options = [a for a in arguments if not a.startswith("-")]
        monkeypatch.setattr(sys, "argv", ["asd.train", *flags, *shared_data, *options])
        try:
            program.main()
        except SystemExit as error:
            return int(error.code or 0)
        except Exception:  # Hydra takes a coverage tracer for a debugger and lets errors through
            traceback.print_exc()
            return 1
        return 0

    return run
