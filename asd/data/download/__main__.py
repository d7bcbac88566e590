"""``python -m asd.data.download``: fetch the DCASE 2020 Task 2 corpus."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from asd.data.dcase2020_facts import Facts, load_facts
from asd.data.manifest import RELEASES
from asd.errors import AsdError
from asd.exit_status import program
from asd.files import locked


def main(argv: Sequence[str] | None = None, facts: Facts | None = None) -> int:
    """Run the program; returns its exit status.

    Args:
        facts: another corpus of the same layout; the published one if None.
    """
    facts = facts or load_facts()
    parser = argparse.ArgumentParser(
        prog="python -m asd.data.download",
        description="Fetch the DCASE 2020 Task 2 corpus. The clips of parts that are there are "
        "counted, a partial file is resumed.",
        epilog="Exit status: 0 done, 2 error, 130 interrupted.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add, types = parser.add_argument, facts.machines
    add("--release", nargs="+", default=["development"], choices=[*RELEASES, "all"], help="parts")
    add("--machines", nargs="+", default=types, choices=types, metavar="TYPE", help="types")
    add("--root", type=Path, default=Path("data/dcase2020"), help="folder of the corpus")
    url = "a folder of all files, or a template with {file} and {record}"
    add("--base-url", default=facts.url_template, metavar="URL", help=url)
    values = parser.parse_args(argv)
    from asd.data.download.delivery import deliver

    releases = RELEASES if "all" in values.release else values.release
    try:
        values.root.mkdir(parents=True, exist_ok=True)
        with locked(values.root / ".download.lock", "downloads to this folder"):
            for archive in facts.archives:  # the labels come with any machine type
                if archive.release in releases and archive.machine in (None, *values.machines):
                    deliver(archive, facts, values.root, values.base_url)
            with suppress(OSError):  # not there, or not empty
                (values.root / "archives").rmdir()
    except (AsdError, OSError) as error:  # of a full disk the system says no file
        print(f"error: --root {values.root}: {error}", file=sys.stderr)
        print("what was completed stays: mend this and run again", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on from there", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    program(main)
