"""No password or token in what is printed or stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from asd.errors import AsdError
from asd.secrets import redacted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://hunter2@host:5000", "http://***@host:5000"),
        ("'x=https://ada:hunter2@host/p' y=1", "'x=https://***@host/p' y=1"),
        ("postgresql://ada:hunter2@host/db", "postgresql://ada:***@host/db"),
        ("postgresql://ada:hun/ter2@host/db", "postgresql://ada:***@host/db"),
        ("https://host/?port=1&access_token=hunter2&mode=2",
         "https://host/?port=1&access_token=***&mode=2"),
        ("https://host/?api_key=hunter2", "https://host/?api_key=***"),
        *[(f"https://host/p{name}=hunter2", f"https://host/p{name}=***") for name in (
            "?jwt", "?X-Amz-Signature", "?pass", "?private_key", "#token", ";password",
            "?port=1;pw",
        )],
        ("postgresql://ada:hun@ter2@host/db", "postgresql://ada:***@host/db"),
        ("postgresql://host/db?sslkey=/a&password=hunter2",
         "postgresql://host/db?sslkey=/a&password=***"),
        (r"x=http\://ada\:hunter2@host", r"x=http\://***@host"),  # as Hydra writes it
        (r"x=a\://ada\:hunter2@host?token\=hunter2", r"x=a\://ada\:***@host?token\=***"),
        # What stands in a user's place, and names that hide what they are or are not known.
        ("postgresql://ghp_Hunter2@host/db", "postgresql://***@host/db"),
        ("postgresql://0123456789abcdef@host/db", "postgresql://***@host/db"),
        ("postgresql://HUNTER2:x@host/db", "postgresql://***:***@host/db"),
        *[(f"http://host/?{name}=hunter2", f"http://host/?{name}=***") for name in (
            "%74oken", "code", "p", "a=***&k", "sslmode=require&x", "",
        )],
        ("http://host/?hunter2", "http://host/?***"),
        ("host:5000/?token=hunter2", "host:5000/?token=***"),
        # these hold none
        *[(text, text) for text in (
            "no such option (did you mean trainer.batch_size?)", "what? nothing", "really?; yes",
            "postgresql://mlflow@host:5432/db", "http://host:5000/#/runs?viewStateShareKey=headline",
            "https://host/user@x?mode=b", "is it seed? seed=3; kernel=4",
            "postgresql://mlflow-1.lab_2@host/db", "sqlite:////a@b/c.db?timeout=3",
            "https://host/x.zip?download=1", "http://host/#/experiments/1",
            "postgresql://host:5432/db?options=a@b", "sqlite:////a/b.db",
        )],
    ],
)  # fmt: skip
def test_secrets_in_addresses(text: str, expected: str) -> None:
    assert redacted(text) == redacted(redacted(text)) == expected
    assert str(AsdError(text)) == expected


@pytest.mark.parametrize(
    "arguments",
    [
        ["tracking.uri=http://hunter2@host"],
        ["tracking.uri='http://host/?token=hunter2'", "tracking=off"],
        ["-m", "seed=0,1", "tracking.uri=http://ada:hunter2@host"],
        ["data=dcase2020", "data.root=https://ada:hunter2@host"],
        ["tracking.uri='http://host/?%74oken=hunter2'"],
        ["tracking.uri=postgresql://hunter2HUNTER2@host/db"],
    ],
)
def test_an_address_with_a_secret_is_refused_and_nowhere_repeated(
    arguments: list[str], run_train: Callable[..., int], tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert run_train("+experiment=u", *arguments) == (1 if "-m" in arguments else 2)
    said = "".join(capfd.readouterr())
    assert "MLFLOW_TRACKING_PASSWORD" in said
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert "hunter2" not in said + "".join(p.read_text(errors="replace") for p in files)


@pytest.mark.parametrize("uri", ["http://ada:hunter2@host", "http://host?%70=hunter2"])
def test_no_model_is_asked_of_such_an_address(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    from asd.score import main

    assert main(["models:/fan@champion", "a.wav", "--tracking-uri", uri]) == 2
    out, err = capsys.readouterr()
    assert "--tracking-uri: holds a password" in err and "hunter2" not in out + err
