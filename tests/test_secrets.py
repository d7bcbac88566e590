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
        ("https://host/?a=1&access_token=hunter2&b=2", "https://host/?a=1&access_token=***&b=2"),
        ("https://host/?api_key=hunter2", "https://host/?api_key=***"),
        *[(f"https://host/p{name}=hunter2", f"https://host/p{name}=***") for name in (
            "?jwt", "?X-Amz-Signature", "?pass", "?private_key", "#token", ";password", "?a=1;pw",
        )],
        ("postgresql://ada:hun@ter2@host/db", "postgresql://ada:***@host/db"),
        ("postgresql://host/db?sslkey=/a&password=hunter2",
         "postgresql://host/db?sslkey=/a&password=***"),
        (r"x=http\://ada\:hunter2@host", r"x=http\://***@host"),  # as Hydra writes it
        (r"x=a\://ada\:hunter2@host?token\=hunter2", r"x=a\://ada\:***@host?token\=***"),
        # these hold none
        *[(text, text) for text in (
            "postgresql://mlflow@host:5432/db", "http://host:5000/#/runs?viewStateShareKey=headline",
            "https://host/user@x?a=b", "postgresql://host:5432/db?options=a@b", "sqlite:////a/b.db",
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
    ],
)
def test_an_address_with_a_secret_is_refused_and_nowhere_repeated(
    arguments: list[str], run_train: Callable[..., int], tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert run_train("+experiment=u", *arguments) == 2
    said = "".join(capfd.readouterr())
    assert "MLFLOW_TRACKING_PASSWORD" in said
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert "hunter2" not in said + "".join(p.read_text(errors="replace") for p in files)


def test_a_report_asks_no_such_address(capsys: pytest.CaptureFixture[str]) -> None:
    from asd.report import main

    assert main(["--tracking-uri", "http://ada:hunter2@host"]) == 2
    out, err = capsys.readouterr()
    assert "--tracking-uri: holds a password" in err and "hunter2" not in out + err
