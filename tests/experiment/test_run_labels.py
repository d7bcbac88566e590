"""What of a config becomes a run's params, name and label."""

from __future__ import annotations

import shlex

import pytest

from asd.composition import command_of, compose_config, plain
from asd.experiment.run_labels import run_name, run_params, system_label


@pytest.mark.parametrize(
    ("experiment", "expected"),
    [
        ("u", ["U", "Gammatone", 64, 1.0, 128, 1e-3, 4]),
        ("ss_0.3", ["SS-0.3-0.7", "Gammatone", 64, 0.3, 128, 1e-3, 4]),
        ("b", ["B", "Mel", 128, 1.0, 8, 1e-3, 64]),
        # Nothing is trained, so no option of training has a value.
        ("knn", ["kNN", "Gammatone", 64, *["none"] * 4]),
    ],
)
def test_runs_of_any_kind_have_the_same_params(experiment: str, expected: list[object]) -> None:
    """MLflow's parallel coordinates say "unknown" where a run has no such param."""
    words = [f"+experiment={experiment}", "seed=3", "trainer.threads=1", "model.dropout=0.0"]
    words = words[:3] if experiment in ("b", "knn") else words
    params = run_params(plain(compose_config(words)), command_of(words))
    always = ["system", "frontend", "frontend.bands", "loss.alpha", "model.embedding"]
    always += ["trainer.learning_rate", "trainer.batch_size"]
    assert [params.pop(name) for name in always] == expected
    assert (params.pop("seed"), params.pop("scale.name")) == (3, "small")
    # Of the command what can change a result, at its default too: it may be a sweep's axis.
    assert params == ({"model.dropout": 0.0} if len(words) == 4 else {})


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
        ("data=dcase2020 data.ids=['00'] seed=1", 'U, ids ["00"]'),
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
