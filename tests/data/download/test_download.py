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
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from filelock import FileLock

from asd.data.dcase2020_facts import Archive, Counts, Facts, load_facts
from asd.data.download.command import main
from asd.data.download.fetch import FetchOptions
from asd.data.download.plan import Download
from asd.data.download.published import MARKER
from asd.data.download.unpack import unpack
from asd.data.evaluation_labels import read_labels
from asd.data.simulation.wav import encode_wav
from asd.errors import AsdError

SAMPLES = 800
RATE = 16000


# ---------------------------------------------------------------------------- a small corpus


def _wav(seed: int) -> bytes:
    values = np.random.default_rng(seed).integers(-(2**15), 2**15, SAMPLES, np.int16)
    return encode_wav(values, RATE)


def _zip(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return buffer.getvalue()


def _md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


COUNTS = {
    ("development", "fan", "00"): Counts(3, 2, 2),
    ("development", "fan", "02"): Counts(2, 1, 3),
    ("development", "pump", "00"): Counts(2, 1, 1),
    ("additional", "fan", "01"): Counts(3, 0, 0),
    ("additional", "pump", "01"): Counts(2, 0, 0),
    ("evaluation", "fan", "01"): Counts(0, 2, 1),
    ("evaluation", "pump", "01"): Counts(0, 1, 2),
}


def _clips(release: str, machine: str) -> dict[str, bytes]:
    """Entries of a machine's archive, laid out as the published ones are."""
    names = [f"{machine}/"]
    for (r, m, machine_id), counts in COUNTS.items():
        if (r, m) != (release, machine):
            continue
        names += [f"{m}/train/normal_id_{machine_id}_{n:08}.wav" for n in range(counts.train)]
        if release == "evaluation":
            names += [f"{m}/test/id_{machine_id}_{n:08}.wav" for n in range(counts.test)]
        else:
            for label, number in (("normal", counts.test_normal), ("anomaly", counts.test_anomaly)):
                names += [f"{m}/test/{label}_id_{machine_id}_{n:08}.wav" for n in range(number)]
    content = {n: b"" if n.endswith("/") else _wav(i) for i, n in enumerate(sorted(names))}
    return content | {f"{machine}/readme.txt": b"not a clip", "__MACOSX/fan/train/._x.wav": b"x"}


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
    archives = [
        Archive(
            release := name.split("_")[0] if name.endswith(".zip") else "evaluation",
            name[:-4].split("_")[1] if name.endswith(".zip") else None,
            record="7",
            file=name,
            # As in the real facts: the sizes of the evaluation archives are not known.
            bytes=None if release == "evaluation" and name.endswith(".zip") else len(content),
            md5=_md5(content),
        )
        for name, content in files.items()
    ]
    samples = {"fan": SAMPLES, "pump": SAMPLES}
    return Facts(("fan", "pump"), samples, RATE, COUNTS, tuple(archives), "http://127.0.0.1:9/")


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
    sent: int = 0

    def __call__(self, *more: str, facts: Facts = FACTS) -> int:
        """Run it for development/fan (unless told otherwise) with no time to wait."""
        quick = ["--backoff", "0", "--retry-after-max", "0", "--chunk-bytes", "256"]
        machines = [] if "--machines" in more else ["--machines", "fan"]
        fixed = ["--base-url", self.url, "--root", str(self.corpus)]
        return main([*fixed, *quick, *machines, *more], facts)

    def err(self) -> str:
        return self.capsys.readouterr().err

    def out(self) -> list[str]:
        return self.capsys.readouterr().out.splitlines()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """One answer to a GET, as it stands in ``answers`` or else as it should be."""
        name, wanted = handler.path.rsplit("/", 1)[-1], handler.headers.get("Range")
        self.requests.append(Request(name, wanted))
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


FAN = "development_fan.zip"
SIZE = len(FILES[FAN])


def test_all_releases_arrive_in_their_layout(run: Program) -> None:
    assert run("--release", "all", "--machines", "fan", "pump") == 0
    expected = {
        f"{release}/{name}": content
        for release, machine in {(r, m) for r, m, _ in COUNTS}
        for name, content in _clips(release, machine).items()
        if name.startswith(f"{machine}/t") and name.endswith(".wav")
    }
    expected["evaluation/eval_data_list.csv"] = LABELS
    files = _files(run.corpus)
    assert {n: c for n, c in files.items() if not n.endswith(MARKER)} == expected
    assert sorted(r.file for r in run.requests) == sorted(FILES)
    lines = run.err().splitlines()
    assert len(lines) == 2 * len(FILES)
    assert lines[0] == f"{FAN}: fetching {run.url}/{FAN} from byte 0 on"
    assert lines[1] == f"{run.corpus / 'development/fan'}: complete, 13 clips"
    assert run("--release", "all", "--machines", "fan", "pump", "--verify") == 0
    run.err()
    assert run("--release", "all", "--machines", "fan", "pump") == 0  # no request more
    assert len(run.requests) == len(FILES)
    assert run.err().count("complete, nothing to do") == len(FILES)


def test_only_chosen_machines_are_fetched_and_archives_can_be_kept(run: Program) -> None:
    corpus = run.corpus
    assert run("--release", "evaluation", "--machines", "pump", "--keep-archives") == 0
    kept = ["evaluation_pump.zip", "eval_data_list.csv"]
    assert [request.file for request in run.requests] == kept
    assert not (corpus / "evaluation/fan").exists()
    assert {n: c for n, c in FILES.items() if n in kept} == _files(corpus / "archives")
    shutil.rmtree(corpus / "evaluation")
    (corpus / "archives" / kept[0]).write_bytes(FILES[kept[0]][:-1] + b"?")
    assert run("--release", "evaluation", "--machines", "pump") == 0
    assert [request.file for request in run.requests] == [*kept, kept[0]]  # the damaged one
    assert not (corpus / "archives").exists()


def test_url_of_template_and_of_folder(tmp_path: Path) -> None:
    archive = next(a for a in load_facts().archives if a.file == "dev_data_fan.zip")
    job = Download(load_facts(), tmp_path, ("development",), ("fan",), load_facts().url_template)
    published = "https://zenodo.org/record/3678171/files/dev_data_fan.zip?download=1"
    assert job.url(archive) == published
    mirror = replace(job, base_url="http://mirror.example/data/")
    assert mirror.url(archive) == "http://mirror.example/data/dev_data_fan.zip"


def test_cut_connection_is_resumed(run: Program) -> None:
    run.answers = [Answer(cut=SIZE // 2), Answer(cut=SIZE // 4)]
    assert run() == 0
    assert [request.range is None for request in run.requests] == [True, False, False]
    assert SIZE <= run.sent <= SIZE + 2 * 256  # at most a chunk is lost at each cut


@pytest.mark.parametrize("size", ["known", "not known"])
def test_silent_cut_without_a_length(run: Program, size: str) -> None:
    """Where the size is not known either, the hash is what tells; the file is then fetched anew."""
    file = FAN if size == "known" else "evaluation_fan.zip"
    cut = len(FILES[file]) // 2
    run.answers = [Answer(cut=cut, length=False)]
    assert run("--release", file.split("_")[0]) == 0
    resumed = f"bytes={cut}-" if size == "known" else None
    assert run.requests[:2] == [Request(file, None), Request(file, resumed)]


def test_server_without_ranges_sends_the_file_again(run: Program) -> None:
    run.ranges = False
    run.answers = [Answer(cut=SIZE // 2)]
    assert run() == 0
    assert run.requests[1].range is not None
    assert run.sent == SIZE + SIZE // 2


@pytest.mark.parametrize(
    ("file", "part", "ranges"),
    [
        ("evaluation_fan.zip", FILES["evaluation_fan.zip"], []),  # whole already
        (FAN, bytes(SIZE // 2), [f"bytes={SIZE // 2}-", None]),  # the hash tells
        (FAN, bytes(SIZE), [f"bytes={SIZE}-", None]),  # HTTP 416
        (FAN, bytes(2 * SIZE), [f"bytes={2 * SIZE}-", None]),
    ],
    ids=["whole", "corrupt", "corrupt, whole", "too long"],
)
def test_part_that_lies_there(
    run: Program, file: str, part: bytes, ranges: list[str | None]
) -> None:
    archives = run.corpus / "archives"
    archives.mkdir(parents=True)
    (archives / f"{file}.part").write_bytes(part)
    assert run("--release", file.split("_")[0]) == 0
    assert [request.range for request in run.requests if request.file == file] == ranges
    assert run("--release", file.split("_")[0], "--verify") == 0


def test_ctrl_c_leaves_a_partial_file_that_is_resumed(run: Program) -> None:
    part = run.corpus / "archives" / f"{FAN}.part"
    run.answers = [Answer(cut=SIZE // 2, interrupt=part)]
    assert run() == 130
    message = run.err()
    assert "interrupted" in message and str(part) in message
    have = part.stat().st_size
    assert 0 < have <= SIZE // 2
    assert run() == 0
    assert run.requests[-1].range == f"bytes={have}-"


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "HTTP 404 Not Found"), (403, "HTTP 403 Forbidden"), (410, "HTTP 410 Gone")],
)
def test_final_errors_are_not_tried_again(run: Program, status: int, words: str) -> None:
    run.answers = [Answer(status)]
    assert run() == 2
    message = run.err()
    assert words in message and f"{run.url}/{FAN}" in message and "--base-url" in message
    assert len(run.requests) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_passing_errors_are_tried_again_so_often(run: Program, status: int) -> None:
    run.answers = [Answer(status, retry_after=text) for text in (None, "3600", "soon", "0")]
    assert run("--retries", "3") == 2
    assert len(run.requests) == 4
    message = run.err()
    assert f"HTTP {status}" in message and "gave up after 4 tries" in message
    run.answers = [Answer(status)]
    assert run("--retries", "1") == 0


def test_progress_resets_the_count_but_repeated_cuts_do_not(run: Program) -> None:
    step = SIZE // 6
    run.answers = [Answer(cut=step)] * 5
    assert run("--retries", "1", "--progress-bytes", str(step - 256)) == 0
    run.requests.clear()
    run.ranges = False
    run.answers = [Answer(cut=step)] * 9
    again = ("--machines", "pump", "--retries", "2", "--progress-bytes", "10")
    assert run(*again) == 2
    assert len(run.requests) == 3  # only the first brought something new


def test_nobody_listens_or_answers(run: Program) -> None:
    assert run("--base-url", "http://127.0.0.1:9", "--retries", "1") == 2
    message = run.err()
    assert "connection failed" in message and "refused" in message and "gave up" in message
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert run("--base-url", url, "--retries", "0", "--read-timeout", "0.1") == 2
    assert "connection failed (timed out)" in run.err()


def test_waits_grow_to_a_bound_and_follow_the_server() -> None:
    options = FetchOptions(backoff=1.0, backoff_max=10.0, retry_after_max=30.0)
    for failures, longest in ((1, 1.0), (2, 2.0), (4, 8.0), (5, 10.0), (500, 10.0)):
        waits = {options.wait(failures, None) for _ in range(20)}
        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert len(waits) > 1
    assert options.wait(1, 7.0) == 7.0
    assert options.wait(1, 3600.0) == 30.0


def test_wrong_md5_is_fetched_again_once(run: Program) -> None:
    run.files[FAN] = bytes(SIZE)
    assert run() == 2
    assert len(run.requests) == 2
    message = run.err()
    assert _md5(bytes(SIZE)) in message and _md5(FILES[FAN]) in message and "twice" in message
    assert _files(run.corpus) == {}


def test_other_size_is_refused_before_it_is_fetched(run: Program) -> None:
    run.files[FAN] = b"<html>please log in</html>"
    assert run() == 2
    assert f"{SIZE:,} were expected" in run.err()
    assert len(run.requests) == 1


def test_clip_counts_are_checked(run: Program) -> None:
    entries = _clips("development", "fan")
    del entries["fan/test/anomaly_id_02_00000001.wav"]
    entries["fan/train/normal_id_09_00000000.wav"] = _wav(1)
    run.files[FAN] = _zip(entries)
    assert run(facts=_facts(run.files)) == 2
    message = run.err()
    assert "test/anomaly_id_02_*.wav: 2 clips, 3 expected" in message
    assert "train/normal_id_09_*.wav: 1 clips, 0 expected" in message
    assert set(_files(run.corpus)) == {f"archives/{FAN}"}
    assert not any((run.corpus / "development").iterdir())


def test_labels_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(LABELS.replace(b"\n", b"\r\n"))
    labels = read_labels(path)
    assert labels["pump"] == {f"id_01_0000000{n}.wav": label for n, label in enumerate((1, 1, 0))}
    path.write_text("fan\nid_01_00000000.wav,what?\n")
    with pytest.raises(ValueError, match="line 2"):
        read_labels(path)


def test_wrong_labels_are_refused(run: Program) -> None:
    name = "eval_data_list.csv"
    run.files[name] = LABELS.replace(b"normal_id_01_00000007.wav,0", b"x.wav,1")
    assert run("--release", "evaluation", facts=_facts(run.files)) == 2
    assert "fan ID 01: 1 normal and 2 anomalous" in run.err()
    assert not (run.corpus / "evaluation" / name).exists()


def _special(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    return entry


CLIP = "fan/train/normal_id_00_00000009.wav"


@pytest.mark.parametrize(
    ("entry", "content", "words"),
    [
        ("../escaped.wav", b"", "leaves the folder"),
        ("fan/train/../../../normal_id_00_00000009.wav", b"", "leaves the folder"),
        (f"/tmp/{CLIP}", b"", "absolute"),
        (f"C:/{CLIP}", b"", "absolute"),
        (CLIP.replace("/", "\\"), b"", "backslash"),
        (_special(CLIP, stat.S_IFLNK | 0o777), b"/etc/passwd", "a link"),
        (_special("fan/pipe", stat.S_IFIFO | 0o644), b"", "special file"),
        (CLIP, bytes(10_000_000), "10,000,000 bytes, a clip has at most"),
        (f"else/{CLIP.replace('9.wav', '0.wav')}", b"", "stands twice"),
    ],
)
def test_dangerous_entries_refuse_the_archive(
    run: Program, entry: str | zipfile.ZipInfo, content: bytes, words: str
) -> None:
    buffer = io.BytesIO(FILES[FAN])
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr(entry, content)
    run.files[FAN] = buffer.getvalue()
    assert run(facts=_facts({FAN: buffer.getvalue()})) == 2
    message = run.err()
    assert words in message and "nothing was unpacked" in message
    assert set(_files(run.corpus.parent)) == {f"corpus/archives/{FAN}"}


def test_broken_zip_and_one_beyond_the_free_space_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, needed = tmp_path / FAN, 13 * len(_wav(0))
    path.write_bytes(FILES[FAN])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=needed - 1))
    with pytest.raises(AsdError, match=f"unpacks to {needed:,} bytes"):
        unpack(path, tmp_path / "small", "fan", 2 * SAMPLES)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=needed))
    assert unpack(path, tmp_path / "enough", "fan", 2 * SAMPLES) == 13
    content = bytearray(FILES[FAN])
    content[200] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(AsdError, match=r"fan\.zip: cannot be unpacked"):
        unpack(path, tmp_path / "out", "fan", 2 * SAMPLES)


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
    assert run("--verify") == 1
    leftover = run.corpus / "development/.unpacking-fan/train"  # of a killed run
    leftover.mkdir(parents=True)
    (leftover / "normal_id_00_00000000.wav").write_bytes(b"half")
    monkeypatch.undo()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert run() == 0
    assert len(run.requests) == 1  # the archive was there already
    assert run("--verify") == 0
    assert [path.name for path in (run.corpus / "development").iterdir()] == ["fan"]


def test_full_disk_is_noticed_before_any_request(
    run: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5000))
    assert run() == 2
    needed = (SIZE + 13 * 4096) / 1e3  # clips of 1,644 bytes take a block each
    message = run.err()
    assert f"{needed:.1f} kB needed" in message and "5.0 kB free" in message
    assert run.requests == []


def test_space_needed_in_sequence(tmp_path: Path) -> None:
    """Without --keep-archives only one archive lies there at a time; with it, all of them."""
    job = Download(load_facts(), tmp_path, ("development",), load_facts().machines, "")
    sizes = [archive.bytes or 0 for archive in job.archives]
    clips = [job.unpacked_bytes(archive) for archive in job.archives]
    assert sum(sizes) < sum(clips) < 1.01 * (20_119 + 10_868) * (44 + 2 * 176_000)
    most = max(sum(clips[: n + 1]) + size for n, size in enumerate(sizes))
    assert job.space_needed(job.archives) == most
    kept = replace(job, keep_archives=True)
    assert kept.space_needed(job.archives) == sum(clips) + sum(sizes)


def test_archives_that_lie_there_need_no_more_space(tmp_path: Path) -> None:
    job = Download(FACTS, tmp_path, ("development",), ("fan", "pump"), "")
    fan, pump = job.archives
    clips = [job.unpacked_bytes(archive) for archive in job.archives]
    job.fetched(fan).parent.mkdir()
    job.fetched(fan).write_bytes(FILES[FAN])
    pump_size = pump.bytes or 0
    # The fan's archive goes before the pump's comes.
    assert job.space_needed([fan, pump]) == max(clips[0], sum(clips) + pump_size - SIZE)
    kept = replace(job, keep_archives=True)
    assert kept.space_needed([fan, pump]) == sum(clips) + pump_size


def test_two_downloads_of_a_folder(run: Program) -> None:
    (run.corpus).mkdir()
    with FileLock(run.corpus / ".download.lock"):
        assert run() == 2
    assert "another download is at work" in run.err()
    assert run.requests == []
    assert run() == 0


def test_damaged_folder_is_found_and_mended(run: Program) -> None:
    assert run() == 0
    fan = run.corpus / "development/fan"
    (fan / "test/normal_id_00_00000001.wav").unlink()
    cut = fan / "train/normal_id_02_00000001.wav"
    cut.write_bytes(cut.read_bytes()[:-100])
    unreadable = fan / "train/normal_id_00_00000000.wav"
    unreadable.write_bytes(b"")
    (fan / "train/notes.txt").write_text("stray")
    run.err()
    assert run("--verify") == 1
    *problems, summary = run.out()
    assert len(problems) == 4
    listed = "\n".join(problems)
    assert "test/normal_id_00_*.wav: 1 clips, 2 expected" in listed
    assert f"{cut}: {SAMPLES - 50} samples" in listed
    assert f"{unreadable}: cannot be read" in listed
    assert "notes.txt: not a clip" in listed
    assert "4 discrepancies" in summary
    assert len(run.requests) == 1
    assert run() == 0
    assert len(run.requests) == 2
    assert run("--verify") == 0


def test_evaluation_clips_are_compared_with_the_labels(run: Program) -> None:
    assert run("--release", "evaluation") == 0
    folder = run.corpus / "evaluation/fan/test"
    (folder / "id_01_00000001.wav").rename(folder / "id_01_00000005.wav")
    assert run("--release", "evaluation", "--verify") == 1
    lines = run.out()
    assert lines[0] == f"{folder}/id_01_00000001.wav: missing"
    assert lines[1].startswith(f"{folder}/id_01_00000005.wav: not in")
    assert len(lines) == 3


def test_folder_unpacked_by_hand_is_accepted_or_left_alone(run: Program) -> None:
    by_hand = run.corpus / "development"
    with zipfile.ZipFile(io.BytesIO(FILES[FAN])) as file:
        file.extractall(by_hand)
    before = _files(by_hand)
    assert run() == 0
    (by_hand / "fan/train/normal_id_00_00000000.wav").unlink()
    assert run() == 2
    assert "was not made by this program" in run.err()
    assert run.requests == []
    del before["fan/train/normal_id_00_00000000.wav"]
    assert _files(by_hand) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--machines", "fun"), "--machines: invalid choice: 'fun' (choose from 'fan', 'pump')"),
        (("--retries", "-1"), "--retries=-1: must be a number 0 or more"),
        (("--read-timeout", "0"), "--read-timeout=0.0: must be a number above 0"),
        (("--base-url", "nonsense"), "check --base-url"),
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
        "import sys; from asd.data.download.command import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'pandas', 'numpy', 'requests', 'rich', 'soundfile'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for option in ("--release", "--machines", "--root", "--base-url", "--verify", "--retries"):
        assert option in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's full device")
def test_disk_that_fills_while_fetching(run: Program) -> None:
    part = run.corpus / "archives" / f"{FAN}.part"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    assert run() == 2
    message = run.err()
    assert "No space left on device" in message and "run again" in message
    part.unlink()
    assert run() == 0
