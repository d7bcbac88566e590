"""``python -m asd.data.download``: fetch the DCASE 2020 Task 2 corpus, or check a copy of it."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from asd.data.dcase2020_facts import Archive, Facts, load_facts
from asd.data.download.completeness import label_problems
from asd.data.download.fetch import FetchOptions, fetch, mismatch
from asd.data.download.placing import clip_problems, complete, place_clips, place_labels
from asd.data.download.plan import Download
from asd.data.download.report import Report, megabytes
from asd.data.manifest import RELEASES
from asd.errors import AsdError

HELP = {
    "retries": "failures in a row, without progress, before giving up",
    "backoff": "s to wait after the first failure; doubles with each",
    "backoff_max": "s, longest wait between tries",
    "retry_after_max": "s, longest wait that a server may ask for",
    "connect_timeout": "s",
    "read_timeout": "s of silence",
    "chunk_bytes": "bytes read at once",
    "progress_bytes": "new bytes that reset the count of failures",
}


def download(job: Download, options: FetchOptions, report: Report) -> None:
    """Fetch, check and unpack what is not there yet; what is complete costs no request.

    Raises:
        AsdError: see the message; what was completed stays, and a partial file is resumed.
    """
    with _locked(job.root):
        todo = [archive for archive in job.archives if not complete(job, archive, report)]
        _check_space(job, todo)
        for archive in todo:
            fetch(
                job.url(archive), job.fetched(archive), archive.bytes, archive.md5, options, report
            )
            if archive.machine is None:
                place_labels(job, archive)
            else:
                place_clips(job, archive, report)
            if not job.keep_archives:
                job.fetched(archive).unlink()
            clips = sum(job.expected(archive).values())
            report.line(f"{job.place(archive)}: complete" + (f", {clips:,} clips" if clips else ""))
        if not job.keep_archives:
            _remove_if_empty(job.root / "archives")


def verify(job: Download) -> list[str]:
    """Every discrepancy between the folder and what was published; nothing is changed."""
    problems = []
    for archive in job.archives:
        place = job.place(archive)
        if archive.machine is None:
            folders = {m: job.root / archive.release / m for m in job.machines}
            problems += label_problems(place, job.facts, folders)
            if place.is_file():
                changed = mismatch(place, archive.bytes, archive.md5)
                problems += [f"{place}: {changed}"] if changed else []
        else:
            problems += clip_problems(job, archive)
    return problems


def _check_space(job: Download, todo: list[Archive]) -> None:
    needed, free = job.space_needed(todo), shutil.disk_usage(job.root).free
    if needed > free:
        raise AsdError(
            f"--root {job.root}: {megabytes(needed)} needed for archives and clips, "
            f"{megabytes(free)} free. Free {megabytes(needed - free)}, choose another --root, or "
            "fewer of --release and --machines."
        )


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """One download a folder at a time; the system lets go of the lock when the process ends."""
    from filelock import FileLock, Timeout

    root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(root / ".download.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise AsdError(
            f"--root {root}: another download is at work in this folder; wait for it or stop it"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _arguments(facts: Facts) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m asd.data.download",
        description="Fetch the DCASE 2020 Task 2 corpus, or check a copy of it (--verify). "
        "Complete parts are left alone, a partial file is resumed.",
        epilog="Exit status: 0 done, 1 --verify found problems, 2 error, 130 interrupted.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--release", nargs="+", default=["development"], choices=[*RELEASES, "all"], help="parts")
    add("--machines", nargs="+", default=list(facts.machines), metavar="TYPE", help="types")
    add("--root", type=Path, default=Path("data/dcase2020"), help="folder of the corpus")
    add(
        "--base-url",
        default=facts.url_template,
        metavar="URL",
        help="a folder of all files, or a template with {file} and {record}",
    )
    add("--keep-archives", action="store_true", help="leave the zips in <root>/archives")
    add("--verify", action="store_true", help="fetch nothing; list every discrepancy")
    for option in fields(FetchOptions):
        flag = "--" + option.name.replace("_", "-")
        kind = int if option.type == "int" else float
        add(flag, type=kind, default=option.default, metavar="N", help=HELP[option.name])
    return parser


def main(argv: Sequence[str] | None = None, facts: Facts | None = None) -> int:
    """Run the program; returns its exit status.

    Args:
        facts: another corpus of the same layout; the published one if None.
    """
    facts = facts or load_facts()
    given = _arguments(facts).parse_args(argv)
    report = Report()
    try:
        options = FetchOptions(**{f.name: getattr(given, f.name) for f in fields(FetchOptions)})
        job = Download(
            facts=facts,
            root=given.root,
            releases=RELEASES if "all" in given.release else tuple(given.release),
            machines=tuple(given.machines),
            base_url=given.base_url,
            keep_archives=given.keep_archives,
        )
        if given.verify:
            return _print_problems(job)
        download(job, options, report)
    except AsdError as error:
        report.line(f"error: {error}")
        return 2
    except OSError as error:
        report.line(f"error: {error}; what was completed stays: mend this and run again")
        return 2
    except KeyboardInterrupt:
        parts = ", ".join(str(path) for path in sorted(given.root.glob("archives/*.part")))
        report.line(
            "interrupted; run the same command again to go on"
            + (f" from the partial file {parts}" if parts else "")
        )
        return 130
    return 0


def _print_problems(job: Download) -> int:
    problems = verify(job)
    for problem in problems:
        print(problem)
    print(f"{job.root}: {len(problems)} discrepancies" if problems else f"{job.root}: complete")
    return 1 if problems else 0
