"""Where runs are logged and models registered: the embedded database, a server, or PostgreSQL."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.errors import AsdError
from asd.files import locked, replacing
from asd.options import check_choice, check_no_secret, check_whole, from_config

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

_SQLITE = "sqlite:///"
_START = (
    "start it (users are named in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD; "
    "PostgreSQL needs pip install 'asd[server]')"
)
_REPAIR = (
    "if the disk is full, free some space; if the file is damaged, move it aside (a new one is "
    "made, and `python -m asd.tracking.sync runs/*/` fills it)"
)
# Of a new experiment; else MLflow guesses what it is, and may show pages for language models.
_KIND = {"mlflow.experimentKind": "custom_model_development"}
_KNOWN = ("Connection refused", "timed out", "Name or service not known", "database is locked")


@dataclass(frozen=True)
class Tracking:
    """See ``conf/tracking/mlflow.yaml``, whose names these are; addresses are absolute."""

    enabled: bool
    uri: str
    experiment: str
    timeout: int
    retries: int
    live_every: int

    def __post_init__(self) -> None:
        check_choice("tracking.enabled", self.enabled, (True, False))
        for name, low in {"timeout": 1, "retries": 0, "live_every": 0}.items():
            check_whole(f"tracking.{name}", getattr(self, name), low)
        check_no_secret("tracking.uri", self.uri)

    @classmethod
    def of(cls, options: Mapping[str, Any], experiment: str | None = None) -> Tracking:
        """From the config group, in this experiment where it names none.

        Relative paths start at the working directory.
        """
        place = {name: options[name] for name in options if name not in ("run_name", "params")}
        place["experiment"] = place.get("experiment") or experiment or "asd"
        given = from_config(cls, "tracking", place)
        uri = f"{_SQLITE}{given.database.absolute()}" if given.embedded else given.uri
        return replace(given, uri=uri)

    @classmethod
    def configured(cls, uri: str | None = None, experiment: str | None = None) -> Tracking:
        """``of`` what ``conf/`` says, for programs that compose no config."""
        from asd.composition import compose_config

        options = compose_config([]).tracking
        return cls.of({**options, "uri": uri or options.uri}, experiment)

    @property
    def embedded(self) -> bool:
        """True if the tracker is a file of our own, not a service that may be down."""
        return self.uri.startswith(_SQLITE)

    @property
    def database(self) -> Path:
        """The file of an embedded database."""
        return Path(self.uri.removeprefix(_SQLITE))


@contextmanager
def answering(tracking: Tracking) -> Iterator[None]:
    """An ``AsdError`` for whatever a tracker raises that is away, damaged, or refuses us."""
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    failures = (MlflowException, SQLAlchemyError, CommandError, sqlite3.Error, OSError, ImportError)
    try:
        yield
    except failures as error:
        # MLflow wraps a refused connection in half a page.
        said = str(error).strip() or type(error).__name__
        why = next((words.lower() for words in _KNOWN if words in said), said.splitlines()[0])
        code = getattr(error, "error_code", None)
        if code in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"):
            raise AsdError(f"tracking.uri={tracking.uri}: refuses this: {why}") from error
        advice = _REPAIR if tracking.embedded else _START
        raise AsdError(
            f"tracking.uri={tracking.uri}: cannot be used: {why}; {advice}, or choose another "
            "address or tracking=off"
        ) from error


def check_place(uri: str, place: str) -> None:
    """Refuse to exchange files with a place that a database alone names, credentials and all.

    That is a web server, or for an embedded one whatever is no folder.
    """
    web = place.startswith(("http:", "https:", "mlflow-artifacts:"))
    no_folder = uri.startswith(_SQLITE) and ":" in place and not place.startswith("file:")
    if (web or no_folder) and not uri.startswith("http"):  # a server is trusted
        raise AsdError(
            f"tracking.uri={uri}: this database has the files of its runs at {place}, which would "
            "get yours, and your credentials: choose another tracker or experiment"
        )


def connect(tracking: Tracking) -> tuple[MlflowClient, str]:
    """The tracker's client and the experiment's id, made where they are not there yet.

    Processes that start together on a fresh database would trip over each other's tables, so one
    makes them and the others wait.
    """
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with answering(tracking):
        if not tracking.embedded:
            return _open(tracking)
        database = tracking.database
        database.parent.mkdir(parents=True, exist_ok=True)
        with locked(database.with_name(f"{database.name}.lock"), "opens this database"):
            if not database.exists():
                _make(database)
            return _open(tracking)


def _make(database: Path) -> None:
    """A database with MLflow's tables, under its name when it has all of them.

    A process killed while MLflow makes them would leave some, on which every later one fails.
    """
    import sqlalchemy
    from mlflow.store.db.utils import _initialize_tables

    with replacing(database) as draft:
        engine = sqlalchemy.create_engine(f"{_SQLITE}{draft}", poolclass=sqlalchemy.NullPool)
        _initialize_tables(engine)  # type: ignore[no-untyped-call]
        # Lets one process write while others read; a property of the file from now on.
        with engine.connect() as connection:
            connection.exec_driver_sql("pragma journal_mode=wal")


def _open(tracking: Tracking) -> tuple[MlflowClient, str]:
    # MLflow by itself would try a server that is away for minutes. What the user has set stays.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", str(tracking.retries))
    for name in ("MLFLOW_HTTP_REQUEST_TIMEOUT", "PGCONNECT_TIMEOUT"):
        os.environ.setdefault(name, str(tracking.timeout))
    import sqlalchemy
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    if not tracking.uri.startswith("http"):  # a damaged database, too, it would try for minutes
        engine = sqlalchemy.create_engine(tracking.uri, poolclass=sqlalchemy.NullPool)
        sqlalchemy.inspect(engine).get_table_names()
    client, name = MlflowClient(tracking.uri), tracking.experiment
    if client.get_experiment_by_name(name) is None:
        beside = (tracking.database.parent / "artifacts").as_uri() if tracking.embedded else None
        try:
            client.create_experiment(name, beside, _KIND)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # made since by another process
                raise
    experiment = client.get_experiment_by_name(name)
    if experiment is None or experiment.lifecycle_stage != "active":
        raise AsdError(
            f"tracking.experiment={name}: deleted in MLflow; restore it "
            "(mlflow experiments restore) or choose another name"
        )
    check_place(tracking.uri, experiment.artifact_location)
    return client, str(experiment.experiment_id)


def registered_checkpoint(address: str, tracking_uri: str | None, into: Path) -> Path:
    """Copy to a folder the ``model.ckpt`` of ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.

    It may lie anywhere among the model's artifacts. Without a URI the registry is that of
    ``conf/tracking/mlflow.yaml``.
    """
    check_no_secret("--tracking-uri", tracking_uri)
    import mlflow

    tracking = Tracking.configured(tracking_uri)
    if tracking.embedded and not tracking.database.exists():
        raise AsdError(f"{tracking.uri}: no such database; give --tracking-uri")
    mlflow.set_tracking_uri(tracking.uri)
    with answering(tracking):
        copied = mlflow.artifacts.download_artifacts(artifact_uri=address, dst_path=str(into))
    found = sorted(Path(copied).rglob("model.ckpt"))
    if len(found) != 1:
        raise AsdError(f"{address}: has {len(found)} files model.ckpt among its artifacts, not one")
    return found[0]
