"""``python -m asd.data.download``: fetch the DCASE 2020 Task 2 corpus, or check a copy of it."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

from asd.data.dcase2020_facts import Archive, Facts, load_facts
from asd.data.download.fetch import FetchOptions, fetch, say
from asd.data.download.placing import complete, place_clips, place_labels, problems_of
from asd.data.download.plan import Download
from asd.data.manifest import RELEASES
from asd.errors import AsdError


def download(job: Download, options: FetchOptions) -> None:
    """Fetch, check and unpack what is not there yet; what is complete costs no request.

    Raises:
        AsdError: see the message; what was completed stays, and a partial file is resumed.
    """
    from filelock import FileLock, Timeout

    job.root.mkdir(parents=True, exist_ok=True)
    try:
        # The system lets go of the lock when the process ends.
        with FileLock(job.root / ".download.lock", timeout=0):
            todo = [archive for archive in job.archives if not complete(job, archive)]
            _check_space(job, todo)
            for archive in todo:
                _bring(job, archive, options)
            with suppress(OSError):  # not there, or not empty
                (job.root / "archives").rmdir()
    except Timeout as error:
        raise AsdError(
            f"--root {job.root}: another download is at work in this folder; wait for it or stop it"
        ) from error


def _bring(job: Download, archive: Archive, options: FetchOptions) -> None:
    file = job.fetched(archive)
    fetch(job.url(archive), file, archive.bytes, archive.md5, options)
    if archive.machine is None:
        place_labels(job, archive)
    else:
        place_clips(job, archive, archive.machine)
    if not job.keep_archives:
        file.unlink()
    clips = sum(job.expected(archive).values())
    say(f"{job.place(archive)}: complete" + (f", {clips:,} clips" if clips else ""))


def _check_space(job: Download, todo: list[Archive]) -> None:
    from rich.filesize import decimal

    needed, free = job.space_needed(todo), shutil.disk_usage(job.root).free
    if needed > free:
        raise AsdError(
            f"--root {job.root}: {decimal(needed)} needed for archives and clips, {decimal(free)} "
            f"free. Free {decimal(needed - free)}, choose another --root, or fewer of --release "
            "and --machines."
        )


def _arguments(facts: Facts) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m asd.data.download",
        description="Fetch the DCASE 2020 Task 2 corpus, or check a copy of it (--verify). "
        "Complete parts are left alone, a partial file is resumed.",
        epilog="Exit status: 0 done, 1 --verify found problems, 2 error, 130 interrupted.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add, types = parser.add_argument, facts.machines
    add("--release", nargs="+", default=["development"], choices=[*RELEASES, "all"], help="parts")
    add("--machines", nargs="+", default=types, choices=types, metavar="TYPE", help="types")
    add("--root", type=Path, default=Path("data/dcase2020"), help="folder of the corpus")
    url = "a folder of all files, or a template with {file} and {record}"
    add("--base-url", default=facts.url_template, metavar="URL", help=url)
    add("--keep-archives", action="store_true", help="leave the zips in <root>/archives")
    add("--verify", action="store_true", help="fetch nothing; list every discrepancy")
    for option in fields(FetchOptions):
        flag, text = "--" + option.name.replace("_", "-"), option.metadata["help"]
        add(flag, type=type(option.default), default=option.default, metavar="N", help=text)
    return parser


def main(argv: Sequence[str] | None = None, facts: Facts | None = None) -> int:
    """Run the program; returns its exit status.

    Args:
        facts: another corpus of the same layout; the published one if None.
    """
    facts = facts or load_facts()
    values = _arguments(facts).parse_args(argv)
    releases = RELEASES if "all" in values.release else tuple(values.release)
    job = Download(
        facts, values.root, releases, tuple(values.machines), values.base_url, values.keep_archives
    )
    try:
        options = FetchOptions(**{f.name: getattr(values, f.name) for f in fields(FetchOptions)})
        if values.verify:
            return _verify(job)
        download(job, options)
    except AsdError as error:
        say(f"error: {error}")
        return 2
    except OSError as error:
        say(f"error: {error}; what was completed stays: mend this and run again")
        return 2
    except KeyboardInterrupt:
        parts = ", ".join(str(path) for path in sorted(job.root.glob("archives/*.part")))
        say(
            "interrupted; run the same command again to go on"
            + (f" from the partial file {parts}" if parts else "")
        )
        return 130
    return 0


def _verify(job: Download) -> int:
    problems = [problem for archive in job.archives for problem in problems_of(job, archive)]
    summary = f"{len(problems)} discrepancies" if problems else "complete"
    print(*problems, f"{job.root}: {summary}", sep="\n")
    return 1 if problems else 0
