"""The search space in Hydra's syntax, objectives, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from asd.composition import folder_of
from asd.errors import AsdError
from asd.search.objectives import check_comparable, check_objectives, selected_on
from asd.search.space import Space
from asd.search.storage import connect


@pytest.fixture
def loader() -> Iterator[ConfigLoader]:
    with initialize_config_dir(str(folder_of("conf")), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tag(log, interval(1e-4, 1e-2))", FloatDistribution(1e-4, 1e-2, log=True)),
        ("interval(0.0, 0.5)", FloatDistribution(0.0, 0.5)),
        ("interval(1, 8)", FloatDistribution(1.0, 8.0)),
        ("int(interval(1, 8))", IntDistribution(1, 8)),
        ("tag(log, int(interval(1, 64)))", IntDistribution(1, 64, log=True)),
        ("choice(8, 16, 32)", CategoricalDistribution([8, 16, 32])),
        ("true,false", CategoricalDistribution([True, False])),
        ("null,5", CategoricalDistribution([None, 5])),
        ("choice(mel, gammatone)", CategoricalDistribution(["mel", "gammatone"])),
        ("choice([8,16],[16,32])", CategoricalDistribution(["[8,16]", "[16,32]"])),
        # as Hydra reads it: the stop is not in it
        ("range(1, 5)", IntDistribution(1, 4)),
        ("range(8, 33, 8)", IntDistribution(8, 32, step=8)),
        ("range(0.0, 0.5, 0.1)", FloatDistribution(0.0, 0.4, step=0.1)),
        ("range(5, 1, -1)", IntDistribution(2, 5)),
    ],
)
def test_syntax_of_the_published_plugin(loader: ConfigLoader, text: str, expected: object) -> None:
    space = Space(loader, ["seed=3", f"trainer.learning_rate={text}"])
    assert space.fixed == ("seed=3",)
    assert space.axes == {"trainer.learning_rate": expected}


def test_values_as_overrides_of_which_the_later_counts(loader: ConfigLoader) -> None:
    space = Space(loader, ["seed=interval(1, 2)", "trainer.batch_size=4,8", "seed=5"])
    assert (space.fixed, list(space.axes)) == (("seed=5",), ["trainer.batch_size"])
    space = Space(loader, ["seed=5", *(f"+{name}=1,2" for name in "abcde")])
    values = {"+a": 0.1, "+b": 5e-324, "+c": False, "+d": None, "+e": "[8,16]", "nobody": "asks"}
    assert space.overrides(values) == (
        "seed=5",
        "+a=0.1",
        "+b=5e-324",
        "+c=false",
        "+d=null",
        "+e=[8,16]",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["seed=1"], "nothing is searched"),
        (["trainer.learning_rate=tag(log, interval(0, 1))"], "cannot search trainer.learning_rate"),
        (["trainer.learning_rate=interval(2, 1)"], "cannot search trainer.learning_rate"),
        (["trainer.learning_rate=interval(2"], "search space"),
    ],
)
def test_refused_spaces(loader: ConfigLoader, arguments: list[str], said: str) -> None:
    with pytest.raises(AsdError, match=said):
        Space(loader, arguments)


def test_objectives_know_their_clips_and_a_loss_is_not_its_own_judge() -> None:
    assert selected_on(["validation_loss", "parameters"]) == "validation clips"
    assert selected_on(["validation_loss", "test_pauc"]) == "test clips"
    for wrong in ("validation_loss", [], ["test_acu"]):
        with pytest.raises(AsdError, match=r"search\.objectives"):
            check_objectives(wrong)
    with pytest.raises(AsdError, match=r"validation_mse"):
        check_comparable(["validation_loss"], ["loss.alpha"])
    assert check_comparable(["validation_mse"], ["loss.alpha"]) == []
    for names in (["proxy_auc"], ["validation_loss"]):
        with pytest.raises(AsdError, match=r"proxy\.copies is searched: it changes the test"):
            check_comparable(names, ["seed", "+proxy.copies"])
    (warning,) = check_comparable(["validation_mse"], ["+frontend.bands"])
    assert "frontend.bands" in warning


def test_storage_addresses() -> None:
    for wrong in ("mysql://host/db", "runs", "oracle"):
        with pytest.raises(AsdError, match=r"hydra\.sweeper\.storage: cannot be used; give sqlite"):
            connect(wrong)
    for secret in ("postgresql://ada:hidden@host/db", "postgresql://host/db?password=hidden",
                   "postgresql://hiddenHIDDEN@host/db", "sqlite:///x.db?k=hidden"):  # fmt: skip
        with pytest.raises(AsdError, match="PGPASSWORD") as caught:
            connect(secret)
        assert "hidden" not in str(caught.value)
