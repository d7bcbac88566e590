"""``python -m asd.data.download``: fetch the DCASE 2020 Task 2 corpus, or check a copy of it."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from asd.data.dcase2020_facts import Facts, load_facts
from asd.data.manifest import RELEASES
from asd.errors import AsdError

if TYPE_CHECKING:
    from asd.data.download.delivery import Delivery


def download(
    root: Path, deliveries: Sequence[Delivery], base_url: str, keep_archives: bool
) -> None:
    """Fetch, check and unpack what is not there yet; what is complete costs no request.

    Raises:
        AsdError: see the message; what was completed stays, and a partial file is resumed.
    """
    from filelock import FileLock, Timeout
    from rich.filesize import decimal

    from asd.data.download.delivery import space_needed

    root.mkdir(parents=True, exist_ok=True)
    try:
        # The system lets go of the lock when the process ends.
        with FileLock(root / ".download.lock", timeout=0):
            todo = [delivery for delivery in deliveries if not delivery.complete()]
            needed, free = space_needed(todo, keep_archives), shutil.disk_usage(root).free
            if needed > free:
                raise AsdError(
                    f"--root {root}: {decimal(needed)} needed for archives and clips, "
                    f"{decimal(free)} free. Free {decimal(needed - free)}, choose another --root, "
                    "or fewer of --release and --machines."
                )
            for delivery in todo:
                delivery.bring(base_url, keep_archives)
            with suppress(OSError):  # not there, or not empty
                (root / "archives").rmdir()
    except Timeout as error:
        raise AsdError(
            f"--root {root}: another download is at work in this folder; wait for it or stop it"
        ) from error


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
    return parser


def main(argv: Sequence[str] | None = None, facts: Facts | None = None) -> int:
    """Run the program; returns its exit status.

    Args:
        facts: another corpus of the same layout; the published one if None.
    """
    facts = facts or load_facts()
    values = _arguments(facts).parse_args(argv)
    from asd.data.download.delivery import Delivery

    releases = RELEASES if "all" in values.release else values.release
    deliveries = [
        Delivery(archive, facts, values.root)
        for release in RELEASES
        for archive in facts.archives  # the labels come with any machine type
        if archive.release == release in releases and archive.machine in (None, *values.machines)
    ]
    try:
        if values.verify:
            return _verify(values.root, deliveries)
        download(values.root, deliveries, values.base_url, values.keep_archives)
    except (AsdError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        print("what was completed stays: mend this and run again", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on from there", file=sys.stderr)
        return 130
    return 0


def _verify(root: Path, deliveries: Sequence[Delivery]) -> int:
    problems = [problem for delivery in deliveries for problem in delivery.problems()]
    summary = f"{len(problems)} discrepancies" if problems else "complete"
    print(*problems, f"{root}: {summary}", sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
