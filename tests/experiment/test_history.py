"""The losses of epochs, written one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from asd.composition import folder_of
from asd.errors import AsdError
from asd.experiment.history import convergence, read_history, write_history
from asd.experiment.trainer_options import TrainerOptions
from asd.options import from_config

VALUES = {
    **yaml.safe_load((folder_of("conf") / "trainer" / "paper.yaml").read_text()),
    "batch_size": 4, "max_epochs": 20, "plateau": None, "stop_patience": 50,
    "late_share": 0.25, "late_gain": 0.01,
}  # fmt: skip


def test_rows_are_read_back_and_a_cut_one_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    assert read_history(path) == []
    rows = [{"epoch": n, "train/loss": 0.1 + n, "val/loss": 1e-17} for n in range(2)]
    write_history(path, rows)
    with path.open("a") as stream:
        stream.write("2,0.5,")
    with pytest.raises(AsdError, match=r"history\.csv: damaged"):
        read_history(path)
    write_history(path, [])
    assert read_history(path) == []


def test_a_minimum_over_a_part_of_the_epochs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    rows = [{"epoch": n, "val/loss": loss, "steps": n} for n, loss in enumerate([3.0, 1.0, 2.0])]
    uncounted = [{"epoch": 0, "val/loss": 1.0}]
    for kept in ([], rows[:1] + rows[2:], rows[2:], uncounted):
        write_history(path, kept)
        with pytest.raises(AsdError, match=r"history\.csv: epochs are missing"):
            convergence(path, from_config(TrainerOptions, "trainer", VALUES))


@pytest.mark.parametrize("content", [b"\xff\x00\x81" * 50, b"epoch,val/loss\n0,low\n", b"a\n1\n"])
def test_a_damaged_file_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_bytes(content)
    with pytest.raises(AsdError, match=r"history\.csv"):
        read_history(tmp_path / "history.csv")


FALLING = [10.0 / n for n in range(1, 21)]
SETTLED = [1.0 + 0.5**n for n in range(20)]
RISING = [1.0, *(1.0 + 0.1 * n for n in range(1, 20))]


@pytest.mark.parametrize(
    ("losses", "changed", "ended", "converged", "best"),
    [
        (FALLING, {}, "max_epochs", False, 20),
        (FALLING[:1], {}, "max_epochs", False, 1),
        (SETTLED, {}, "max_epochs", True, 20),  # the best is the last, by a millionth
        (RISING, {}, "max_epochs", True, 1),
        (RISING, {"stop_patience": 19}, "stop_patience", True, 1),
        (RISING, {"stop_patience": 20}, "max_epochs", True, 1),
        ([9.0, 1.0, 2.0, 1.0], {"stop_patience": 2, "late_gain": 0.0}, "stop_patience", True, 2),
        ([9.0, 1.0, 2.0, 1.0], {"stop_patience": None, "late_gain": 0.0}, "max_epochs", False, 2),
        (FALLING, {"late_gain": 0.3}, "max_epochs", True, 20),
    ],
)
def test_convergence(
    losses: list[float],
    changed: dict[str, Any],
    ended: str,
    converged: bool,
    best: int,
    tmp_path: Path,
) -> None:
    rows = [{"epoch": n, "steps": 7.0 * (n + 1), "val/loss": v} for n, v in enumerate(losses)]
    write_history(tmp_path / "history.csv", rows)
    for weights, scoring in (("best", best), ("last", len(losses))):
        options = from_config(TrainerOptions, "trainer", {**VALUES, **changed, "weights": weights})
        assert convergence(tmp_path / "history.csv", options) == {
            "epochs": len(losses),
            "steps": 7 * len(losses),
            "best_epoch": best,
            "chosen_by": "validation loss",
            "scoring_epoch": scoring,
            "validation_loss": losses[scoring - 1],
            "ended": ended,
            "converged": converged,
        }


@pytest.mark.parametrize(
    ("aucs", "best", "ended"),
    [
        ([0.5, 0.9, 0.8, 0.7], 2, "stop_patience"),
        ([0.5, 0.9, 0.9, 0.7], 3, "stop_patience"),  # of equals the lower validation loss
        ([0.5, 0.6, 0.8, 0.7], 3, "max_epochs"),
    ],
)
def test_a_proxy_auc_chooses_the_epoch(
    aucs: list[float], best: int, ended: str, tmp_path: Path
) -> None:
    falling = zip([4.0, 3.0, 2.0, 1.0], aucs, strict=True)
    rows = [
        {"epoch": n, "steps": n, "val/loss": loss, "val/proxy_auc": auc}
        for n, (loss, auc) in enumerate(falling)
    ]
    write_history(tmp_path / "history.csv", rows)
    options = from_config(TrainerOptions, "trainer", {**VALUES, "stop_patience": 2})
    told = convergence(tmp_path / "history.csv", options)
    assert (told["best_epoch"], told["scoring_epoch"], told["ended"]) == (best, best, ended)
    assert told["chosen_by"] == "proxy AUC" and told["validation_loss"] == 5.0 - best
