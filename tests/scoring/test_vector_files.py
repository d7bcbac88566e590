"""Vectors of the user's own, by file name, or by a network of theirs."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import soundfile
import torch
from onnx import TensorProto, helper, numpy_helper

from asd.cores import one_torch_thread
from asd.errors import AsdError
from asd.experiment.run_folder import RunFolder
from asd.score import main as score
from asd.scoring import vector_files
from asd.scoring.vector_files import VectorFiles, VectorNetwork


def test_files_of_a_folder_are_vectors_of_clips(
    run_train: Callable[..., int],
    write_corpus: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = write_corpus(machines=("fan",), train=8, seconds=1.0)
    own = tmp_path / "vectors"
    generator = np.random.default_rng(0)
    for wav in sorted(root.rglob("*.wav")):
        path = (own / wav.relative_to(root)).with_suffix(".npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, generator.normal(size=(5, 3)).astype(np.float32))
    command = ["model=none", "scoring=files", "scoring/pooling=mean_max", "tracking=off",
               "data=folder", f"data.root={root}"]  # fmt: skip
    assert run_train(*command) == 2
    assert "scoring.vectors.folder=None: must be a folder of .npy files" in capsys.readouterr().out
    command.append(f"scoring.vectors.folder={own}")
    assert run_train(*command) == 0
    (run,) = (RunFolder(path.parent) for path in (tmp_path / "runs").glob("*/run.json"))

    held_out = set(pd.read_csv(run.model("shared") / "validation.csv")["path"])

    def vector(path: Path) -> np.ndarray:
        values = np.load(path).astype(float)
        joined = np.append(values.mean(0), values.max(0))
        return joined / np.linalg.norm(joined)

    scores = pd.read_csv(run.scores)
    for row in scores.to_dict("records"):
        clip = Path(row["file"])
        bank = [
            vector(path)
            for path in own.rglob(f"train/*_{clip.stem.split('_', 1)[1][:5]}*.npy")
            if path.relative_to(own).with_suffix(".wav").as_posix() not in held_out
        ]
        here = vector((own / clip).with_suffix(".npy"))
        expected = min(np.linalg.norm(here - one) for one in bank)
        assert row["score"] == pytest.approx(expected, rel=1e-6)

    # Recordings are named to asd.score as they were to the run.
    monkeypatch.chdir(root)
    capsys.readouterr()
    caplog.set_level(logging.WARNING)  # a run logs its progress to standard output
    assert score([str(run.path), *scores["file"]]) == 0
    again = pd.read_csv(io.StringIO(capsys.readouterr().out), nrows=len(scores))
    assert again["score"].tolist() == scores["score"].tolist()
    monkeypatch.chdir(tmp_path)

    # Other content is another run; a clip without a vector, or with another size, is named.
    last = (own / clip).with_suffix(".npy")
    np.save(last, np.ones((5, 4)))
    vector_files._content.cache_clear()
    assert run_train(*command) == 2
    assert "its vector has 6 values, that of other clips 8" in capsys.readouterr().out
    last.unlink()
    vector_files._content.cache_clear()
    assert run_train(*command) == 2
    assert f"{row['file']}: scoring.vectors: {last}: cannot be read" in capsys.readouterr().out


def test_what_is_no_vector_is_named(tmp_path: Path) -> None:
    for content, message in (
        (np.array(["a"]), "cannot be read as an array of numbers"),
        (np.zeros((2, 2, 2)), r"has shape \[2, 2, 2\]; \[size\] or \[n, size\] is needed"),
        (np.zeros(0), r"has shape \[0\]"),
    ):
        np.save(tmp_path / "clip.npy", content)
        with pytest.raises(AsdError, match=rf"clip\.npy: {message}"):
            VectorFiles(str(tmp_path)).of_clip("clip.wav")
    (tmp_path / "clip.npy").write_bytes(b"no array")
    with pytest.raises(AsdError, match=r"clip\.npy: cannot be read as an array"):
        VectorFiles(str(tmp_path)).of_clip("clip.wav")


KERNELS = np.random.default_rng(5).normal(size=(4, 1, 64)).astype(np.float32)


def write_network(
    path: Path, kernels: np.ndarray = KERNELS, shape: object = (1, "samples")
) -> Path:
    """[1, samples] -> [1, time, 4]: magnitudes of filters 64 long, every 32 samples."""
    nodes = [
        helper.make_node("Reshape", ["wave", "one"], ["clip"]),
        helper.make_node("Conv", ["clip", "kernels"], ["bands"], strides=[32]),
        helper.make_node("Abs", ["bands"], ["levels"]),
        helper.make_node("Transpose", ["levels"], ["vectors"], perm=[0, 2, 1]),
    ]
    values = {"one": np.array([1, 1, -1]), "kernels": kernels}
    graph = helper.make_graph(
        nodes,
        "filters",
        [helper.make_tensor_value_info("wave", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, (1, "time", 4))],
        [numpy_helper.from_array(array, name) for name, array in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, path)
    return path


def expected_vectors(wave: np.ndarray) -> np.ndarray:
    """The same, written out: [time, 4]."""
    cut = np.lib.stride_tricks.sliding_window_view(wave.astype(float), 64)[::32]
    return np.abs(cut @ KERNELS[:, 0].T.astype(float))


def test_a_network_of_the_users_makes_vectors(
    run_train: Callable[..., int],
    write_corpus: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    root = write_corpus(machines=("fan",), train=8, seconds=1.0, rate=8000)
    network = write_network(tmp_path / "filters.onnx")
    command = ["model=none", "standardise=false", "scoring=onnx", "scoring/pooling=max",
               "tracking=off", "data=folder", f"data.root={root}", "frontend=waveform",
               "frontend.rate=8000", f"scoring.vectors.file={network}"]  # fmt: skip
    assert run_train(*command) == 2
    assert "scoring.vectors.rate=None" in capsys.readouterr().out
    assert run_train(*command, "scoring.vectors.rate=8000", "scoring.vectors.file=null") == 2
    assert "scoring.vectors.file=None: cannot be used as an ONNX" in capsys.readouterr().out
    for wrong in ("scoring.vectors.rate=16000", "frontend=gammatone"):
        assert run_train(*command, "scoring.vectors.rate=8000", wrong) == 2
        assert "needs frontend=waveform frontend.rate=" in capsys.readouterr().out
    command.append("scoring.vectors.rate=8000")
    faults = "proxy.faults=[bearing,leak]"  # copies with faults have vectors, too
    assert run_train(*command, faults) == 0
    (run,) = (RunFolder(path.parent) for path in (tmp_path / "runs").glob("*/run.json"))
    assert 0 <= run.record()["proxy"]["auc"] <= 1
    assert "AUC" in (run.tables / "tables.md").read_text()

    def vector(path: Path) -> np.ndarray:
        joined = expected_vectors(soundfile.read(path, dtype="float32")[0]).max(0)
        return np.asarray(joined / np.linalg.norm(joined))

    held_out = set(pd.read_csv(run.model("shared") / "validation.csv")["path"])
    scores = pd.read_csv(run.scores)
    for row in scores.to_dict("records"):
        own_id = Path(row["file"]).stem.split("_", 1)[1][:5]
        bank = [
            vector(path)
            for path in root.rglob(f"train/*_{own_id}*.wav")
            if path.relative_to(root).as_posix() not in held_out
        ]
        nearest = min(np.linalg.norm(vector(root / row["file"]) - one) for one in bank)
        assert row["score"] == pytest.approx(nearest, rel=1e-4)

    capsys.readouterr()
    caplog.set_level(logging.WARNING)
    clips = [str(root / file) for file in scores["file"]]
    assert score([str(run.path), *clips]) == 0
    again = pd.read_csv(io.StringIO(capsys.readouterr().out), nrows=len(scores))
    assert again["score"].tolist() == pytest.approx(scores["score"].tolist(), rel=1e-12)

    # Another network is another run, and does not score by the vectors of the first.
    write_network(network, 2 * KERNELS[::-1])
    vector_files._content.cache_clear()
    vector_files._network.cache_clear()
    assert score([str(run.path), *clips]) == 2
    assert "another network made the vectors of" in "".join(capsys.readouterr())
    assert run_train(*command) == 0
    assert len(list((tmp_path / "runs").glob("*/run.json"))) == 2


def test_a_network_computes_on_the_threads_that_torch_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used, real = list[int](), onnxruntime.InferenceSession.run

    def run(session: onnxruntime.InferenceSession, *arguments: object) -> object:
        used.append(session.get_session_options().intra_op_num_threads)
        return real(session, *arguments)

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", run)
    network = VectorNetwork(str(write_network(tmp_path / "filters.onnx")), 8000)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        network(torch.zeros(160, 1), {})
        with one_torch_thread():  # as a clip's latency is measured
            network(torch.zeros(160, 1), {})
    finally:
        torch.set_num_threads(before)
    assert used == [2, 1]


def test_a_network_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    wave = torch.randn(160, 1, dtype=torch.float64) / 10
    for shape in (("samples",), (1, 160), ("n", 1, "samples")):
        network = write_network(tmp_path / f"{len(shape)}.onnx", shape=shape)
        made = VectorNetwork(str(network), 8000)(wave, {})
        np.testing.assert_allclose(made, expected_vectors(wave[:, 0].numpy()), rtol=1e-4, atol=1e-6)
    (tmp_path / "text.onnx").write_text("no network")
    for name, message in (
        ("text", "cannot be used"),
        ("absent", r"cannot be used.*No such file"),
    ):
        with pytest.raises(AsdError, match=rf"file=.*{name}\.onnx: {message}"):
            VectorNetwork(str(tmp_path / f"{name}.onnx"), 8000)
    with pytest.raises(AsdError, match=r"file=None: cannot be used"):
        VectorNetwork(None, 8000)  # type: ignore[arg-type]
    fixed = VectorNetwork(str(tmp_path / "2.onnx"), 8000)
    with pytest.raises(AsdError, match=r"takes \[1, 160\], and makes no vector of 150 samples: "):
        fixed(wave[:150], {})
    whole = onnx.load(tmp_path / "2.onnx")  # [1, 2, 2, time] is no series
    whole.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("picture", TensorProto.FLOAT, None)
    )
    node = helper.make_node("Reshape", ["levels", "square"], ["picture"])
    whole.graph.node[-1].CopyFrom(node)
    whole.graph.initializer.append(numpy_helper.from_array(np.array([1, 2, 2, -1]), "square"))
    onnx.save(whole, tmp_path / "picture.onnx")
    with pytest.raises(AsdError, match=r"makes no vector of 160 samples: cannot reshape"):
        VectorNetwork(str(tmp_path / "picture.onnx"), 8000)(wave, {})
    whole = onnx.load(tmp_path / "2.onnx")
    whole.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, (1,)))
    onnx.save(whole, tmp_path / "two.onnx")
    with pytest.raises(AsdError, match=r"one input: too many values"):
        VectorNetwork(str(tmp_path / "two.onnx"), 8000)
