"""The downloader against a server on 127.0.0.1 that misbehaves in the ways that servers do."""

from __future__ import annotations

import hashlib
import io
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile
from filelock import FileLock

from asd.data.dcase2020_facts import Archive, Facts
from asd.data.download import delivery
from asd.data.download.__main__ import main
from asd.data.download.delivery import unpack
from asd.errors import AsdError

SAMPLES = 800
RATE = 16000


# ---------------------------------------------------------------------------- a small corpus


def _wav(seed: int) -> bytes:
    values = np.random.default_rng(seed).integers(-(2**15), 2**15, SAMPLES, np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, values, RATE, subtype="PCM_16", format="WAV")
    return buffer.getvalue()


def _zip(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return buffer.getvalue()


def _md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


COUNTS = {
    ("development", "fan", "00"): (3, 2, 2),
    ("development", "fan", "02"): (2, 1, 3),
    ("development", "pump", "00"): (2, 1, 1),
    ("additional", "fan", "01"): (3, 0, 0),
    ("additional", "pump", "01"): (2, 0, 0),
    ("evaluation", "fan", "01"): (0, 2, 1),
    ("evaluation", "pump", "01"): (0, 1, 2),
}


def _clips(release: str, machine: str) -> dict[str, bytes]:
    """Entries of a machine's archive, laid out as the published ones are."""
    clips = {f"{machine}/": b"", f"{machine}/readme.txt": b"not a clip", "__MACOSX/a/._x.wav": b""}
    for (r, m, machine_id), (train, normal, anomaly) in COUNTS.items():
        groups = {"train/normal_": train, "test/": normal + anomaly}
        if release != "evaluation":
            del groups["test/"]
            groups |= {"test/normal_": normal, "test/anomaly_": anomaly}
        for group, number in groups.items():
            for n in range(number if (r, m) == (release, machine) else 0):
                clips[f"{machine}/{group}id_{machine_id}_{n:08}.wav"] = _wav(len(clips))
    return clips


LABELS = (
    b"fan\n"
    b"id_01_00000000.wav,normal_id_01_00000007.wav,0\n"
    b"id_01_00000001.wav,anomaly_id_01_00000003.wav,1\n"
    b"id_01_00000002.wav,normal_id_01_00000001.wav,0\n"
    b"pump\n"
    b"id_01_00000000.wav,anomaly_id_01_00000000.wav,1\n"
    b"id_01_00000001.wav,anomaly_id_01_00000001.wav,1\n"
    b"id_01_00000002.wav,normal_id_01_00000000.wav,0\n"
)
FILES = {f"{r}_{m}.zip": _zip(_clips(r, m)) for r, m in sorted({(r, m) for r, m, _ in COUNTS})}
FILES["eval_data_list.csv"] = LABELS


def _facts(files: dict[str, bytes]) -> Facts:
    archives = []
    for name, content in files.items():
        labels = name == "eval_data_list.csv"
        release, machine = ("evaluation", None) if labels else name[:-4].split("_")
        archives.append(Archive(release, machine, "7", name, _md5(content)))
    return Facts(("fan", "pump"), COUNTS, tuple(archives), "http://127.0.0.1:9/")


FACTS = _facts(FILES)


# ---------------------------------------------------------------------------- the server


class Answer(NamedTuple):
    """How to treat one request; what is not said is done properly."""

    status: int | None = None
    cut: int | None = None  # close after this many bytes of the body
    retry_after: str | None = None
    interrupt: Path | None = None  # send the test itself a Ctrl-C once this file has bytes
    length: bool = True  # send Content-Length


class Request(NamedTuple):
    file: str
    range: str | None


@dataclass
class Program:
    """The program, the server that it talks to, and its corpus folder."""

    corpus: Path
    capsys: pytest.CaptureFixture[str]
    url: str = ""
    files: dict[str, bytes] = field(default_factory=lambda: dict(FILES))
    answers: list[Answer] = field(default_factory=list)  # for the next requests, in order
    ranges: bool = True
    requests: list[Request] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    sent: int = 0

    def __call__(self, *more: str, facts: Facts = FACTS) -> int:
        """Run it for development/fan, unless told otherwise."""
        machines = [] if "--machines" in more else ["--machines", "fan"]
        return main(["--base-url", self.url, "--root", str(self.corpus), *machines, *more], facts)

    def err(self) -> str:
        return self.capsys.readouterr().err

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """One answer to a GET, as it stands in ``answers`` or else as it should be."""
        name, wanted = handler.path.rsplit("/", 1)[-1], handler.headers.get("Range")
        self.requests.append(Request(name, wanted))
        self.paths.append(handler.path)
        script = self.answers.pop(0) if self.answers else Answer()
        content = self.files.get(name, b"")
        start = int(wanted[6:-1]) if wanted and self.ranges else 0
        status = script.status or (404 if not content else 416 if start >= len(content) else 200)
        handler.send_response(206 if start and status == 200 else status)
        body = content[start:] if status == 200 else b""
        if script.retry_after:
            handler.send_header("Retry-After", script.retry_after)
        if script.length:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: script.cut])
        self.sent += len(body[: script.cut])
        if script.interrupt:
            while not (script.interrupt.exists() and script.interrupt.stat().st_size):
                time.sleep(0.005)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            time.sleep(0.1)  # the connection stays open while the signal arrives


@pytest.fixture
def run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Program]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for constant, value in (("BACKOFF_S", 0.0), ("CHUNK_BYTES", 256), ("RETRIES", 2)):
        monkeypatch.setattr(delivery, constant, value)
    program = Program(tmp_path / "corpus", capsys)
    methods = {"do_GET": lambda handler: program.answer(handler), "log_message": lambda *_: None}
    handler = type("Handler", (BaseHTTPRequestHandler,), methods)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        program.url = f"http://127.0.0.1:{httpd.server_address[1]}"
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield program
        httpd.shutdown()
        thread.join()


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".download.lock"
    }


def _placed(release: str = "development", machine: str = "fan") -> dict[str, bytes]:
    """The clips of an archive where they belong."""
    return {
        f"{release}/{name}": content
        for name, content in _clips(release, machine).items()
        if name.startswith(f"{machine}/t") and name.endswith(".wav")
    }


FAN = "development_fan.zip"
SIZE = len(FILES[FAN])


def test_all_releases_arrive_in_their_layout(run: Program) -> None:
    assert run("--release", "all", "--machines", "fan", "pump") == 0
    parts = {(r, m) for r, m, _ in COUNTS}
    expected = {path: content for part in parts for path, content in _placed(*part).items()}
    expected["evaluation/eval_data_list.csv"] = LABELS
    assert _files(run.corpus) == expected
    assert sorted(r.file for r in run.requests) == sorted(FILES)
    run.err()
    assert run("--release", "all", "--machines", "fan", "pump") == 0  # no request more
    assert len(run.requests) == len(FILES)
    assert run.err().count("complete, nothing to do") == len(FILES)


def test_only_chosen_machines_are_fetched_and_archives_put_there_by_hand_are_used(
    run: Program,
) -> None:
    corpus, pump = run.corpus, "evaluation_pump.zip"
    (corpus / "archives").mkdir(parents=True)
    (corpus / "archives" / pump).write_bytes(FILES[pump])
    assert run("--release", "evaluation", "--machines", "pump") == 0
    assert [request.file for request in run.requests] == ["eval_data_list.csv"]
    assert not (corpus / "evaluation/fan").exists()
    shutil.rmtree(corpus / "evaluation/pump")
    (corpus / "archives").mkdir()
    (corpus / "archives" / pump).write_bytes(FILES[pump][:-1] + b"?")
    assert run("--release", "evaluation", "--machines", "pump") == 0
    assert run.requests[-1].file == pump  # the damaged one
    assert not (corpus / "archives").exists()
    template = f"{run.url}/records/{{record}}/{{file}}"
    assert run("--base-url", template) == 0
    assert run.paths[-1] == f"/records/7/{FAN}"


@pytest.mark.parametrize(
    ("ranges", "length", "requests"),
    [(True, True, 3), (False, True, 2), (True, False, 2)],
    ids=["resumed", "server without ranges", "silent cut: the hash tells"],
)
def test_cut_connection(run: Program, ranges: bool, length: bool, requests: int) -> None:
    run.ranges = ranges
    run.answers = [Answer(cut=SIZE // 2, length=length), Answer(cut=SIZE // 4)][: requests - 1]
    if not length:
        assert run() == 2
    assert run() == 0
    asked = [request.range for request in run.requests]
    assert [wanted is None for wanted in asked] == [True, *[not length] * (requests - 1)]
    if ranges and length:
        assert SIZE <= run.sent <= SIZE + 2 * 256  # at most a chunk is lost at each cut


@pytest.mark.parametrize(
    ("part", "requests"),
    [(FILES[FAN], 1), (bytes(SIZE // 2), 2), (bytes(2 * SIZE), 2)],
    ids=["whole", "corrupt", "too long"],
)
def test_part_that_lies_there(run: Program, part: bytes, requests: int) -> None:
    """The server says HTTP 416 where nothing is left, and the hash tells whether it is right."""
    archives = run.corpus / "archives"
    archives.mkdir(parents=True)
    (archives / f"{FAN}.part").write_bytes(part)
    assert [run() for _ in range(requests)] == [2, 0][-requests:]
    assert [request.range for request in run.requests] == [f"bytes={len(part)}-", None][:requests]
    assert set(_files(run.corpus)) == set(_placed())


def test_ctrl_c_leaves_a_partial_file_that_is_resumed(run: Program) -> None:
    part = run.corpus / "archives" / f"{FAN}.part"
    run.answers = [Answer(cut=SIZE // 2, interrupt=part)]
    assert run() == 130
    assert "interrupted; run the same command again" in run.err()
    have = part.stat().st_size
    assert 0 < have <= SIZE // 2
    assert run() == 0
    assert run.requests[-1].range == f"bytes={have}-"


@pytest.mark.parametrize(("status", "tries"), [(500, 3), (503, 3), (429, 3), (408, 3), (404, 1)])
def test_only_passing_errors_are_tried_again(run: Program, status: int, tries: int) -> None:
    run.answers = [Answer(status, retry_after="0")] * tries
    assert run() == 2
    assert len(run.requests) == tries
    message = run.err()
    assert message.count(f"{status} Client Error" if status < 500 else f"{status} Server") == tries
    for cure in (f"{run.url}/{FAN}", "--base-url", f"{run.corpus / 'archives'} by hand"):
        assert cure in message
    run.answers = [Answer(status)] * (tries - 1)
    assert run() == 0


def test_bodies_cut_without_progress_are_given_up(run: Program) -> None:
    run.ranges = False
    run.answers = [Answer(cut=SIZE // 6)] * 9
    assert run() == 2
    assert len(run.requests) == 4  # only the first brought something new
    assert run.err().count(" bytes; trying again") == 3
    assert (run.corpus / f"archives/{FAN}.part").stat().st_size > 0


def test_nobody_listens_or_answers(run: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "TIMEOUT_S", (1.0, 0.1))
    assert run("--base-url", "http://127.0.0.1:9") == 2
    message = run.err()
    assert (message.count("Connection refused"), message.count("trying again")) == (3, 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert run("--base-url", f"http://127.0.0.1:{silent.getsockname()[1]}") == 2
    assert "Read timed out" in run.err()


def test_a_file_of_wrong_md5_is_not_kept(run: Program) -> None:
    run.files[FAN] = bytes(SIZE)
    assert run() == 2
    message = run.err()
    assert _md5(bytes(SIZE)) in message and _md5(FILES[FAN]) in message
    assert _files(run.corpus) == {}


CLIP = "fan/train/normal_id_00_00000009.wav"
LINK = zipfile.ZipInfo(CLIP)
LINK.external_attr = (stat.S_IFLNK | 0o777) << 16


@pytest.mark.parametrize(
    ("entry", "content", "words"),
    [
        ("../escaped.wav", b"", None),
        (CLIP.replace("/", "\\"), b"", None),
        (
            f"fan/train/../../../{CLIP}",
            b"",
            "fan ID 00, development train normal: 4 found, 3 expected",
        ),
        (LINK, b"/etc/passwd", "development train normal: 4 found, 3 expected"),
        (f"else/{CLIP.replace('9.wav', '0.wav')}", b"", "File exists"),
    ],
)
def test_dangerous_entries_get_nowhere(
    run: Program, entry: str | zipfile.ZipInfo, content: bytes, words: str | None
) -> None:
    """Left out, or the archive is refused with nothing left of it."""
    buffer = io.BytesIO(FILES[FAN])
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr(entry, content)
    run.files[FAN] = buffer.getvalue()
    assert run(facts=_facts({FAN: buffer.getvalue()})) == (2 if words else 0)
    assert (words or "complete") in run.err()
    clips = {f"corpus/development/{n}" for n in _clips("development", "fan") if n[:5] == "fan/t"}
    files = set(_files(run.corpus.parent))
    assert files == ({f"corpus/archives/{FAN}"} if words else clips)
    assert not any(path.is_symlink() for path in run.corpus.rglob("*"))


def test_broken_zip_is_refused(tmp_path: Path) -> None:
    content = bytearray(FILES[FAN])
    content[200] ^= 0xFF
    (tmp_path / FAN).write_bytes(content)
    with pytest.raises(AsdError, match=r"fan\.zip: cannot be unpacked"):
        unpack(tmp_path / FAN, tmp_path / "out", "fan")


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_interrupted_unpacking_leaves_nothing(
    run: Program, monkeypatch: pytest.MonkeyPatch, failure: BaseException | type[BaseException]
) -> None:
    copy, copied = shutil.copyfileobj, []

    def failing(source: object, target: object) -> None:
        copied.append(target)
        if len(copied) == 4:
            raise failure
        copy(source, target)  # type: ignore[arg-type]

    monkeypatch.setattr(shutil, "copyfileobj", failing)
    assert run() == (130 if failure is KeyboardInterrupt else 2)
    assert len(copied) == 4
    assert set(_files(run.corpus)) == {f"archives/{FAN}"}
    leftover = run.corpus / "development/.unpacking-fan/train"  # of a killed run
    leftover.mkdir(parents=True)
    (leftover / "normal_id_00_00000000.wav").write_bytes(b"half")
    monkeypatch.undo()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert run() == 0
    assert len(run.requests) == 1  # the archive was there already
    assert [path.name for path in (run.corpus / "development").iterdir()] == ["fan"]


def test_two_downloads_of_a_folder(run: Program, caplog: pytest.LogCaptureFixture) -> None:
    run.corpus.mkdir()
    held = threading.Event()

    def other() -> None:
        with FileLock(run.corpus / ".download.lock"):
            held.set()
            time.sleep(1.5)

    thread = threading.Thread(target=other)
    thread.start()
    held.wait()
    assert run() == 0
    thread.join()
    assert "waiting for another process, which downloads to this folder" in caplog.text


def test_the_list_of_labels_must_be_the_published_one(run: Program) -> None:
    assert run("--release", "evaluation") == 0
    labels = run.corpus / "evaluation/eval_data_list.csv"
    labels.write_bytes(LABELS.replace(b"wav,0", b"wav,1"))
    assert run("--release", "evaluation") == 2
    assert f"{labels}: not what was published" in run.err()


def test_folder_unpacked_by_hand_is_accepted_and_left_alone_if_damaged(run: Program) -> None:
    with zipfile.ZipFile(io.BytesIO(FILES[FAN])) as file:
        file.extractall(run.corpus / "development")
    assert run() == 0
    assert "complete, nothing to do" in run.err()
    fan = run.corpus / "development/fan"
    (fan / "test/normal_id_00_00000001.wav").unlink()
    (fan / "train/notes.wav").write_text("stray")
    before = _files(run.corpus)
    assert run() == 2
    message = run.err()
    assert f"{fan}: not what was published; move it away or delete it" in message
    assert "fan ID 00, development test normal: 1 found, 2 expected" in message
    assert "notes.wav: the name does not fit" in message
    assert run.requests == []
    assert _files(run.corpus) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--machines", "fun"), "--machines: invalid choice: 'fun' (choose from 'fan', 'pump')"),
        (("--base-url", "nonsense"), "--base-url"),
        (("--root", __file__), __file__),
    ],
)
def test_wrong_options(run: Program, options: tuple[str, str], words: str) -> None:
    try:
        assert run(*options) == 2
    except SystemExit as end:  # argparse
        assert end.code == 2
    assert words in run.err()


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from asd.data.download.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'pandas', 'numpy', 'requests', 'rich', 'soundfile'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--base-url" in done.stdout
