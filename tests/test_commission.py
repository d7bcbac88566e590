"""From normal recordings alone to what may be promised, with the programs that users run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from asd.experiment.run_folder import FINISHED, RunFolder
from asd.models.detector import load_detector
from asd.report import main as report
from asd.scoring.calibration import CalibrationOptions, commission
from asd.tracking.sync import main as sync

Train = Callable[..., int]
Capture = pytest.CaptureFixture[str]
_SECOND = {"machine": "fan", "id": "00", "samples": 16000, "rate": 16000}
NO_AUC = "no test clips: no AUC"


def runs_in(folder: Path) -> dict[str, RunFolder]:
    found = [RunFolder(file.parent) for file in (folder / "runs").glob("*/run.json")]
    return {run.record()["tags"]["experiment"]: run for run in found}


def options(root: Path) -> list[str]:
    return ["data=folder", f"data.root={root}", "scale=tiny", "window.seconds=0.5"]


def test_every_program_copes_with_a_run_without_test_clips(
    run_train: Train, write_corpus: Callable[..., Path], tmp_path: Path, capsys: Capture
) -> None:
    root = write_corpus(train=3, normal=0, anomaly=0, seconds=0.6)
    given = [*options(root), "+experiment=u", "scope=per_machine", "pictures=default"]
    assert run_train(*given) == 0
    run = runs_in(tmp_path)["u"]
    record = run.record()
    assert (record["status"], record["tags"]["test"]) == (FINISHED, "none")
    assert [data["context"] for data in record["datasets"]] == ["training"]
    assert any("no test clips in release development" in text for text in record["warnings"])
    assert run.scores.read_text() == "machine,id,file,label,score\n"
    assert [p.name for p in sorted(run.path.glob("pictures/*"))] == ["training.png"]
    assert NO_AUC in (run.tables / "tables.md").read_text()

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}")
    copy = client.get_run(record["mlflow"]["run_id"])
    assert copy.info.status == FINISHED
    assert not any("auc" in name for name in copy.data.metrics)
    assert NO_AUC in copy.data.tags["mlflow.note.content"]

    capsys.readouterr()
    assert run_train(*given) == 0
    assert NO_AUC in capsys.readouterr().out.replace("\n", " ")
    assert run.record()["starts"] == 1  # shown, not trained again
    assert sync([str(run.path)]) == 0
    assert report([]) == 2
    assert f"{run.path.name} ({NO_AUC})" in capsys.readouterr().err


def test_a_sweep_and_a_search_say_that_there_is_no_auc(
    run_train: Train, write_corpus: Callable[..., Path], tmp_path: Path, capsys: Capture
) -> None:
    root = write_corpus(train=3, normal=0, anomaly=0, seconds=0.6)
    given = [*options(root), "tracking=off"]
    assert run_train("-m", *given, "+experiment=knn,level") == 0
    assert capsys.readouterr().err.count(f"finished, {NO_AUC}") == 2
    assert {run.record()["status"] for run in runs_in(tmp_path).values()} == {FINISHED}
    assert run_train(*given, "+experiment=level", "search.objectives=[test_auc]") == 2
    assert f"search.objectives=['test_auc']: {NO_AUC}" in capsys.readouterr().out


def test_one_machine_type_of_two_has_test_clips(
    run_train: Train, write_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    root = write_corpus(machines=["fan"], train=3, seconds=0.6)
    write_corpus(root=root, machines=["pump"], train=3, normal=0, anomaly=0, seconds=0.6)
    given = [*options(root), "tracking=off", "scope=per_machine"]
    assert run_train(*given, "+experiment=knn") == 0
    assert set(pd.read_csv(runs_in(tmp_path)["knn"].scores)["machine"]) == {"fan"}


def test_a_run_ends_with_what_may_be_promised(
    run_train: Train, write_clip: Callable[..., Path], tmp_path: Path, capsys: Capture
) -> None:
    root = tmp_path / "hall"
    for machine, count in (("fan", 30), ("pump", 8)):
        for n in range(count):
            write_clip(root / machine / "normal" / f"take {n}.wav", seed=n, seconds=3.0)
    given = ["data=normal_anomaly", f"data.root={root}", "scale=auto", "trainer.max_epochs=1"]
    given += ["+experiment=machine", "calibration.clips_per_hour=2", "tracking=off"]
    assert run_train(*given) == 0
    shown = " ".join(capsys.readouterr().out.split())
    run = runs_in(tmp_path)["machine"]
    fan, pump = run.record()["commission"]
    scores = pd.read_csv(run.model("fan") / "calibration.csv")["score"]
    assert len(scores) == 7  # 0.3 of the 24 that are not for validation
    promised = (
        f"fan/id_00: from your 1.5 minutes: at a threshold of {scores.max():.4g}, at most 12.5 % "
        "false alarms on average, if normal clips stay like the 7 held out: about 42 a week at 2 "
        "clips an hour. fan/00: 7 normal clips were held out, which can promise 12.5 % false "
        "alarms at best; 10 % needs 9 clips: record more, or hold out more."
    )
    assert fan == promised
    assert pump.startswith("pump/id_00: from your 0.4 minutes: ")
    assert "at most 33.3333 % false" in pump and "about 112 a week" in pump
    assert promised in shown
    assert promised in (run.tables / "tables.md").read_text()
    assert run_train(*given) == 0
    assert promised in " ".join(capsys.readouterr().out.split())
    assert run_train(*given, "calibration.fraction=0") == 0
    assert "No thresholds: no normal clips were held out" in capsys.readouterr().out


def test_silent_and_clipped_clips_do_not_calibrate(
    run_train: Train, write_corpus: Callable[..., Path], tmp_path: Path, capsys: Capture
) -> None:
    root = write_corpus(machines=("fan",), train=10, seconds=0.6)
    given = [*options(root), "tracking=off", "+experiment=knn", "calibration.fraction=0.4"]
    assert run_train(*given) == 0
    clips = pd.read_csv(runs_in(tmp_path)["knn"].model("shared") / "calibration.csv")["file"]
    soundfile.write(root / clips[0], np.zeros(9600), 16000)
    soundfile.write(root / clips[4], np.sign(np.sin(0.1 + np.arange(9600))), 16000)
    learnt = [path for path in root.glob("fan/train/*") if not clips.str.endswith(path.name).any()]
    (root / clips[2]).write_bytes(learnt[0].read_bytes())
    capsys.readouterr()
    assert run_train(*given, "paths.runs=faulty") == 0
    shown = capsys.readouterr().out
    (file,) = (tmp_path / "faulty").glob("*/run.json")
    run = RunFolder(file.parent)
    model = run.model("shared")
    own = pd.read_csv(model / "calibration.csv")["file"]
    assert set(clips) - set(own) == set(clips[[0, 2, 4]]) and set(own) < set(clips)
    assert f"{len(clips)} normal" not in shown
    said = run.record()["commission"][-1]
    counts = "1 silent, 1 trained on, 1 clipped"
    assert said.startswith(f"3 of {len(clips)} clips do not calibrate ({counts}):")
    assert f"{clips[0]}: silent" in said and f"{clips[4]}: clipped: 100 %" in said
    assert f"3 of {len(clips)} clips do not calibrate" in " ".join(shown.split())
    assert "do not calibrate" in (run.tables / "tables.md").read_text()
    detector = load_detector(model / "model.ckpt")
    assert sum(map(len, detector.calibration.values())) == len(own)
    hashes = [hashlib.blake2b(path.read_bytes(), digest_size=8).digest() for path in learnt]
    assert set(detector.recipe["trained_on"]) == set(map(int.from_bytes, hashes))


def test_the_rate_wanted_and_its_threshold() -> None:
    """Against the definition, with as many clips as keep the promise, and with one fewer."""
    options = CalibrationOptions(0.3, "conformal", 0.05, 60.0, 0.001)
    for count, rate, place in ((19, 0.05, 19), (39, 0.05, 38), (18, 1 / 19, 18)):
        clips = pd.DataFrame(_SECOND, range(60))
        held_out = {"fan/00": np.arange(1.0, count + 1)}
        (text,) = commission(clips, held_out, options)
        assert text.startswith(
            f"fan/id_00: from your 1 minutes: at a threshold of {place}, at most {100 * rate:g} %"
        )
        assert f"about {rate * 60 * 24 * 7:,.1f} a week".replace(".0 ", " ") in text
        assert ("5 % needs 19 clips" in text) == (count < 19)
    (text,) = commission(clips.assign(id="01"), held_out, options)
    assert "pooled over fan" in text and "Verdicts" not in text
    (text,) = commission(clips, held_out, replace(options, rule="gamma"))
    assert text.endswith(" Verdicts are by calibration.rule=gamma, with another threshold.")
