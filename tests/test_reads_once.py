"""A run opens a sound file to check it and to compute; scores are evaluated for it and its copy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest


def test_sounds_are_and_scores_are_not_read_again_and_again(
    run_train: Callable[..., int],
    write_corpus: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: Counter[str] = Counter()
    evaluated: list[object] = []
    path_open = Path.open  # by which read_bytes and read_text go, too

    def counting_open(self: Path, mode: str = "r", *more: object, **named: object) -> object:
        if "w" not in mode:
            opened[str(self)] += 1
        return path_open(self, mode, *more, **named)  # type: ignore[call-overload]

    from asd.scoring import metrics
    from asd.training import run

    evaluate = metrics.evaluate_scores

    def counting_evaluate(*arguments: object) -> object:
        evaluated.append(arguments)
        return evaluate(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "evaluate_scores", counting_evaluate)
    monkeypatch.setattr(metrics, "evaluate_scores", counting_evaluate)
    root = write_corpus(machines=("fan",), train=6, seconds=1.0)
    monkeypatch.setattr(Path, "open", counting_open)
    options = ["data=folder", f"data.root={root}", "scale=tiny", "paths.cache=cache"]
    assert run_train("+experiment=u", *options, "pictures=default") == 0
    # Of one the latency is measured, from its file to its score, again and again.
    *others, _ = sorted(opened[str(path)] for path in root.rglob("*.wav"))
    assert set(others) == {2}
    assert len(evaluated) == 2  # its tables, and MLflow's copy, which is made of files
