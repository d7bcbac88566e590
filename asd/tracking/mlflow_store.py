"""Where runs are logged, and reaching it: the embedded database, a server, or PostgreSQL."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from asd.errors import AsdError
from asd.files import replacing
from asd.options import check_choice, check_no_secret, check_whole, from_config
from asd.tracking.experiment_page import experiment_tags
from asd.tracking.time_limit import LimitedClient, within

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

_SQLITE = "sqlite:///"
# Seconds after which one who waits for another process says so.
_GLANCE = 1.0
_START = (
    "start it (users are named in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD; "
    "PostgreSQL needs pip install 'asd[server]')"
)
_REPAIR = (
    "if the disk is full, free some space; if the file is damaged, move it aside (a new one is "
    "made, and `python -m asd.tracking.sync runs/*-seed*/` fills it)"
)


@dataclass(frozen=True)
class Tracking:
    """The config group ``tracking``, with absolute addresses.

    Args:
        enabled: whether runs are logged at all.
        uri: of a server, or of a database.
        artifacts: folder of the embedded database's artifacts; a server has its own place.
        experiment: in which the runs are listed.
        system_metrics: whether to log the use of processor, memory, disk, network and GPU.
        timeout: seconds that a server may take to answer.
        retries: how often a server is asked again before it counts as gone.
        limit: seconds that one request to a server may take with all that, however it answers; of
            a file, for each MB.
        live_every: seconds between two copies of a run's losses while it trains.
    """

    enabled: bool
    uri: str
    artifacts: str
    experiment: str
    system_metrics: bool
    timeout: int
    retries: int
    limit: int
    live_every: int

    def __post_init__(self) -> None:
        check_choice("tracking.enabled", self.enabled, (True, False))
        check_choice("tracking.system_metrics", self.system_metrics, (True, False))
        check_whole("tracking.timeout", self.timeout, 1)
        check_whole("tracking.retries", self.retries, 0)
        check_whole("tracking.limit", self.limit, 1)
        check_whole("tracking.live_every", self.live_every, 0)
        for name in ("uri", "artifacts", "experiment"):
            if not isinstance(getattr(self, name), str):
                raise AsdError(f"tracking.{name}={getattr(self, name)}: must be a text")
        check_no_secret("tracking.uri", self.uri)

    @classmethod
    def of(cls, options: Mapping[str, Any], experiment: str | None = None) -> Tracking:
        """From the composed options; relative paths start at the working directory.

        Args:
            options: the config group.
            experiment: where it names none; see ``asd.experiment.experiment``.

        Raises:
            AsdError: an option cannot be used, or the address holds a password.
        """
        place = {name: options[name] for name in options if name != "run_name"}
        place["experiment"] = place.get("experiment") or experiment or "asd"
        given = from_config(cls, "tracking", place)
        uri = given.uri
        if uri.startswith(_SQLITE):
            uri = _SQLITE + str(Path(uri.removeprefix(_SQLITE)).absolute())
        return replace(given, uri=uri, artifacts=str(Path(given.artifacts).absolute()))

    @classmethod
    def configured(cls, uri: str | None = None, experiment: str | None = None) -> Tracking:
        """``of`` what ``conf/tracking/mlflow.yaml`` says, for programs that compose no config.

        Args:
            uri: another address; artifacts of an embedded database then lie beside it.
            experiment: another one.
        """
        from omegaconf import OmegaConf

        from asd.composition import folder_of

        groups = {"paths": "default.yaml", "tracking": "mlflow.yaml"}
        conf = {name: OmegaConf.load(folder_of("conf") / name / groups[name]) for name in groups}
        options = OmegaConf.create(conf)["tracking"]
        if uri is not None:
            options.uri = uri
            options.artifacts = str(Path(uri.removeprefix(_SQLITE)).parent / "artifacts")
        options.experiment = experiment or options.experiment
        return cls.of(options)

    @property
    def embedded(self) -> bool:
        """True if the tracker is a file of our own, not a service that may be down."""
        return self.uri.startswith(_SQLITE)

    @property
    def ui_command(self) -> str | None:
        """The line that opens the UI of an embedded database; None for a server."""
        return f"python -m mlflow ui --backend-store-uri {self.uri}" if self.embedded else None


@contextmanager
def answering(tracking: Tracking) -> Iterator[None]:
    """Around what is asked of the tracker.

    Raises:
        AsdError: for whatever a tracker raises that is away, damaged, or refuses us.
    """
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    failures = (MlflowException, SQLAlchemyError, CommandError, sqlite3.Error, OSError, ImportError)
    try:
        yield
    except failures as error:
        if getattr(error, "error_code", None) == "INVALID_PARAMETER_VALUE":
            raise AsdError(f"tracking.uri={tracking.uri}: refuses this: {reason(error)}") from error
        advice = _REPAIR if tracking.embedded else _START
        raise AsdError(
            f"tracking.uri={tracking.uri}: cannot be used: {reason(error)}; {advice}, or choose "
            "another address or tracking=off"
        ) from error


def check_place(uri: str, place: str) -> None:
    """Refuse to exchange files with where a database alone says, which would get credentials too.

    Raises:
        AsdError: a database has its runs' files on a web server; an embedded one in no folder.
    """
    web = place.startswith(("http:", "https:", "mlflow-artifacts:"))
    no_folder = uri.startswith(_SQLITE) and ":" in place and not place.startswith("file:")
    if (web or no_folder) and not uri.startswith("http"):  # a server is trusted
        raise AsdError(
            f"tracking.uri={uri}: this database has the files of its runs at {place}, which would "
            "get yours, and your credentials: choose another tracker or experiment"
        )


def reason(error: Exception) -> str:
    """What went wrong in a few words: MLflow wraps a refused connection in half a page."""
    message = str(error).strip()
    known = ("Connection refused", "timed out", "Name or service not known", "database is locked")
    for words in known:
        if words in message:
            return words.lower()
    return message.splitlines()[0] if message else type(error).__name__


def connect(tracking: Tracking) -> tuple[MlflowClient, str]:
    """Open the tracker, making database and experiment where they are not there yet.

    Processes that start together on a fresh database would trip over each other's tables, so one
    makes them and the others wait.

    Returns:
        The client and the experiment's id.

    Raises:
        AsdError: the tracker cannot be reached, or refuses us.
    """
    # MLflow's own defaults try a dead server for minutes. What the user has set stays.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", str(tracking.retries))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(tracking.timeout))
    import sqlalchemy
    from filelock import FileLock, Timeout

    with answering(tracking):
        if tracking.embedded:
            database = Path(tracking.uri.removeprefix(_SQLITE))
            database.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(f"{database}.lock")
            try:
                lock.acquire(timeout=_GLANCE)
            except Timeout:
                log.warning("waiting for another process that holds %s", lock.lock_file)
                lock.acquire()
            try:
                if database.exists():
                    _check_file(database, tracking.limit)
                else:
                    _make(tracking, database)
                return _open(tracking)
            finally:
                lock.release()
        if not tracking.uri.startswith("http"):
            # Once: MLflow itself would try a database ten times, for minutes.
            engine = sqlalchemy.create_engine(tracking.uri)
            within(tracking.limit, engine.connect).close()
        return _open(tracking)


def _check_file(database: Path, limit: int) -> None:
    """Refuse at once what MLflow would try for minutes; say it where another process holds it."""
    address = f"{database.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(address, uri=True, timeout=_GLANCE)) as connection:
        try:
            connection.execute("begin immediate")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            log.warning("waiting for another process that writes to %s", database)
            connection.execute(f"pragma busy_timeout = {1000 * limit}")
            connection.execute("begin immediate")
        connection.rollback()


def _make(tracking: Tracking, database: Path) -> None:
    """A database with MLflow's tables, under its name when it has all of them.

    A process that is killed while MLflow makes them would leave some, on which every later one
    fails. They are copied, for MLflow keeps the file open in which it made them.
    """
    draft = database.with_name(f"{database.name}.draft")
    draft.unlink(missing_ok=True)
    try:
        _open(replace(tracking, uri=f"{_SQLITE}{draft}"))
        with (
            replacing(database) as whole,
            closing(sqlite3.connect(draft)) as source,
            closing(sqlite3.connect(whole)) as target,
        ):
            source.backup(target)
            # Lets one process write while others read; a property of the file from now on.
            target.execute("pragma journal_mode=wal")
    finally:
        draft.unlink(missing_ok=True)


def _open(tracking: Tracking) -> tuple[MlflowClient, str]:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    client, name = MlflowClient(tracking.uri), tracking.experiment
    if not tracking.embedded:
        client = cast(MlflowClient, LimitedClient(client, tracking.limit))
    if client.get_experiment_by_name(name) is None:
        artifacts = Path(tracking.artifacts).as_uri() if tracking.embedded else None
        try:
            client.create_experiment(name, artifacts, experiment_tags())
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
