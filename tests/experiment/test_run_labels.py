"""What of a config becomes a run's params, name and label."""

from __future__ import annotations

import shlex

import pytest

from asd.composition import command_of, compose_config, plain
from asd.experiment.run_labels import run_name, run_params, system_label


def test_params_are_what_runs_differ_in() -> None:
    # One has its default, two change no result, and what follows from the scale is not repeated.
    words = shlex.split(
        "+experiment=u scale=tiny seed=3 trainer.learning_rate=0.001 paths.data=/d "
        "trainer.threads=1 model=dense_ae model.layers=2 data.snr_db=3"
    )
    assert run_params(plain(compose_config(words)), command_of(words)) == {
        "system": "U", "seed": 3, "scale.name": "tiny", "trainer.learning_rate": 0.001,
        "model": "DenseAutoencoder", "model.layers": 2, "model.hidden": 16, "model.embedding": 8,
        "data.snr_db": 3,
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
