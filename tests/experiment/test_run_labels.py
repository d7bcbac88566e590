"""What of a config becomes a run's params, name and label."""

from __future__ import annotations

import shlex

import pytest

from asd.composition import command_of, compose_config, plain
from asd.experiment.run_labels import run_name, run_params, system_label

CONFIG = {
    "system": "B",
    "seed": 3,
    "paths": {"data": "/d"},
    "identity": {"exclude": ["paths", "trainer.threads"]},
    "scale": {"name": "tiny", "filters": [4], "window_seconds": 1.0, "max_epochs": 2},
    "model": {"_target_": "asd.models.dense.Dense", "filters": [4], "embedding": 16},
    "window": {"seconds": 1.0},
    "trainer": {"max_epochs": 5, "threads": 1},
}


def test_params_are_what_runs_differ_in() -> None:
    command = "python -m asd.train +experiment=b model.embedding=16 paths.data=/d trainer.threads=1"
    delta = {
        "paths.data": "/d", "scale.name": "tiny", "scale.filters": [4], "model.filters": [4],
        "model._target_": "asd.models.dense.Dense", "window.seconds": 1.0, "trainer.max_epochs": 5,
        "seed": 3,
    }  # fmt: skip
    assert run_params(CONFIG, delta, command) == {
        "system": "B", "seed": 3, "model.embedding": 16, "scale.name": "tiny", "model": "Dense",
        "trainer.max_epochs": 5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "label"),
    [
        ("+experiment=b frontend=mel seed=3 trainer.threads=2 data.root=/d", "B"),
        ("+experiment=b trainer.max_epochs=5", "B, max_epochs 5"),
        ("+experiment=u trainer.learning_rate=0.00123456789", "U, learning_rate 0.001235"),
        ("+experiment=u model=dense_ae window=context", "U, window context, model dense_ae"),
        (
            "+experiment=u trainer=baseline trainer.weights=best",
            "U, trainer baseline, weights best",
        ),
        # What follows from an option, or is in the name, is not repeated.
        ("+experiment=u scale=tiny scale.max_epochs=7 scale.hidden=3", "U, max_epochs 7"),
        ("+experiment=ss loss.alpha=0.9", "SS-0.9-0.1"),
        # Nobody's U passes for B.
        ("+experiment=u system=B", "B, settings of U"),
        ("+experiment=ss system=B loss.alpha=0.9", "B, settings of SS-0.5-0.5, alpha 0.9"),
        # As it would be without them: a number is a number, and the scale's filters are these.
        ("+experiment=u model.dropout=0.0 model.filters=[8,16,32.0]", "U"),
        ("data=dcase2020 data.ids={fan:['00']} seed=1", 'U, ids.fan ["00"]'),
        ("+experiment=u trainer.plateau=null ~standardise", "U, plateau null, without standardise"),
    ],
)
def test_a_label_says_how_a_run_departs_from_its_preset(overrides: str, label: str) -> None:
    words = shlex.split(overrides, posix=False)
    config = plain(compose_config(words))
    assert system_label(config, command_of(words)) == label
    assert run_name(config, command_of(words)) == label.replace(
        config["system"], f"{config['system']} seed {config['seed']}"
    )
