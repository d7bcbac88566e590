"""The programs under one name, what becomes of their output, and the project as others get it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from asd.__main__ import PROGRAMS

ROOT = Path(__file__).resolve().parents[1]
NAMES = [*PROGRAMS, ""]


def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-m", "asd", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_asd_alone_says_what_there_is_and_waits_for_nothing() -> None:
    code = (
        "import sys; sys.argv = ['asd']; from asd.__main__ import main; assert not main()\n"
        "heavy = {'torch', 'mlflow', 'hydra', 'numpy', 'pandas', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(f"\n  asd {name} " in done.stdout for name in PROGRAMS)
    assert len(done.stdout.splitlines()) < 20
    assert run("--version").stdout == f"asd {version('asd')}\n"


def test_a_program_that_there_is_not() -> None:
    done = run("trian")
    assert done.returncode == 2
    assert "trian: no such program (did you mean train?)" in done.stderr


def test_a_message_says_the_command_as_python_takes_it(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['/bin/asd', 'sweeps', 'list']\n"
        "from asd.__main__ import main; assert not main(); print(sys.orig_argv[1:], sys.argv)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    words = ["sweeps", "list"]
    assert (
        done.stdout.splitlines()[-1] == f"{['-m', 'asd.sweeps', *words[1:]]} {['asd', *words[1:]]}"
    )


@pytest.mark.parametrize(
    ("line", "offered"),
    [("asd tr", set(PROGRAMS)), ("asd train frontend=", {"frontend=mel", "frontend=gammatone"}),
     ("asd report ", set())],
)  # fmt: skip
def test_completion(line: str, offered: set[str]) -> None:
    said = run("-sc", "query=bash", COMP_LINE=line).stdout.split()
    assert set(said) >= offered and bool(said) == bool(offered)


def unread(*command: str, cwd: Path = ROOT) -> tuple[int, bytes]:
    """Status and error stream of a program whose output nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", *command], stdout=writer, stderr=subprocess.PIPE, cwd=cwd,
        env=environment, check=False,
    )  # fmt: skip
    os.close(writer)
    return done.returncode, done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_output_that_nobody_reads_is_no_error(name: str) -> None:
    assert unread("asd", *[name] * bool(name), "--help") == (0, b"")


def test_a_full_disk_is_said_without_a_traceback() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "asd", "sweeps", "list"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "standard output cannot be written: No space left" in done.stderr


def test_files_are_written_though_nobody_reads_the_output(tmp_path: Path) -> None:
    (tmp_path / "wordy.py").write_text(
        "from pathlib import Path\nfrom asd.exit_status import program\n"
        "program(lambda: print('much ' * 100_000) or Path('own.csv').write_text('rows') and 0)"
    )
    assert unread("wordy", cwd=tmp_path) == (0, b"")
    assert (tmp_path / "own.csv").read_text() == "rows"


def test_wheel_and_sdist_are_whole_outside_the_clone(tmp_path: Path) -> None:
    """As pip does: the wheel is built from what the sdist holds."""
    from hatchling.builders.sdist import SdistBuilder
    from hatchling.builders.wheel import WheelBuilder

    (sdist,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    assert {"LICENSE", "CITATION.cff", "tests", "docs", "sweeps"} <= {
        p.name for p in source.iterdir()
    }
    (wheel,) = WheelBuilder(str(source)).build(directory=str(tmp_path), versions=["standard"])
    names = zipfile.ZipFile(wheel).namelist()
    for folder in ("conf", "sweeps"):
        for path in (ROOT / folder).rglob("*.yaml"):
            assert f"asd/share/{path.relative_to(ROOT)}" in names
    assert "asd/data/dcase2020.yaml" in names
    assert not [name for name in names if name.startswith(("tests", "mlruns", "data/"))]

    pytest.importorskip("pip")
    installed = tmp_path / "installed"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index",
               "--disable-pip-version-check", "--target", str(installed), wheel]  # fmt: skip
    subprocess.run(command, check=True, cwd=tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(installed)}

    def script(*words: str) -> str:
        command = [str(installed / "bin" / "asd"), *words]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
        ).stdout

    assert script("--version") == f"asd {version('asd')}\n"
    assert "experiment_name: u\n" in script("train", "+experiment=u", "--cfg", "job")
    assert "paper " in script("sweeps", "list")
    assert "complete -o nospace -o default -F hydra_bash_completion asd" in script(
        "-sc", "install=bash"
    )
    (about,) = installed.glob("asd-*.dist-info/METADATA")
    assert "License-Expression: MIT\n" in about.read_text()


def test_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == version("asd")
    assert f"## {version('asd')}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    "page", [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")], ids=lambda p: p.name
)
def test_commands_are_quoted_for_zsh(page: Path) -> None:
    """Unquoted brackets, braces and stars are patterns there, and no match is an error."""
    text = page.read_text()
    commands = re.findall(r"(?m)^ *(?:python3? -m|asd|mlflow) .*|(?<=`)python3? -m [^`\n]*", text)
    bare = [re.sub(r"'[^']*'|\s#.*|(?<=runs/)\S*", "", command) for command in commands]
    assert [command for command in bare if re.search(r"[][*?{}]", command)] == []


def test_programs_start_where_linux_has_more_than_the_system() -> None:
    """As on Windows and macOS: what only Linux has is hidden, and every module is imported."""
    code = """
import os, pkgutil, signal, subprocess, sys
import psutil, torch, mlflow, optuna, numba, filelock  # they have their own ways on each system
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
for owner, names in {
    os: ("sched_getaffinity", "sched_setaffinity", "killpg", "fork", "getuid", "O_NOFOLLOW"),
    signal: ("SIGHUP", "SIGKILL", "SIGUSR1", "SIGALRM"),
}.items():
    for name in names:
        if hasattr(owner, name):
            delattr(owner, name)
import asd, hydra_plugins.asd
for package in (asd, hydra_plugins.asd):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        __import__(module.name)
for program in (None, "train", "sweeps", "report", "pictures", "score"):
    from asd.__main__ import main
    sys.argv = ["asd", *([program] if program else []), "--help"]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, program
from asd.cores import cores
from asd.experiment.environment import device_name, peak_memory_mb
from asd.experiment.run_labels import user_name
assert cores() >= 1 and "cores" in device_name("cpu")
assert peak_memory_mb("cpu") == {}
assert user_name()
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_constraints_suit_what_each_python_needs(python: str) -> None:
    """By the installed packages' own metadata, which hold for every Python; CUDA's are not pinned.

    Whether the index has wheels of all for a Python: ``uv pip compile --python-version 3.13 -c
    constraints.txt pyproject.toml --extra dev``.
    """
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {canonicalize_name(name): pin for name, pin in (line.split("==") for line in lines)}
    marker = {"python_version": python, "python_full_version": f"{python}.0"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())[
        "project"
    ]  # newer than its metadata
    extras = project["optional-dependencies"]
    own = [
        *project["dependencies"],
        *(need for e in ("dev", "server") for need in extras[e]),
    ]
    waiting = [("asd", "")]
    seen: set[tuple[str, str]] = set()
    wrong = []
    while waiting:
        one = waiting.pop()
        try:
            about = distribution(one[0])
        except PackageNotFoundError:  # of another Python alone: what it needs is not known here
            continue
        wanted = about.metadata.get("Requires-Python")
        if wanted and not Requirement(f"python{wanted}").specifier.contains(f"{python}.0"):
            wrong.append(f"{one[0]} {about.version} is not for Python {python}")
        for need in map(Requirement, own if one[0] == "asd" else about.requires or []):
            name = canonicalize_name(need.name)
            if need.marker and not need.marker.evaluate({**marker, "extra": one[1]}):
                continue
            if name.startswith(("nvidia", "cuda", "triton")):
                continue
            if not need.specifier.contains(pins.get(name, ""), prereleases=True):
                wrong.append(f"{one[0]} needs {need}, pinned is {pins.get(name)}")
            new = {(name, extra) for extra in ("", *need.extras)} - seen
            seen |= new
            waiting += new
    assert wrong == []
