"""Set up and run, on a machine that has only Python 3.11+ and pip.

python3 bootstrap.py demo       sets up .venv, then trains ss_0.5 on simulated data
python3 bootstrap.py test       sets up .venv, then checks style and types and runs the tests
python3 bootstrap.py audit      looks for known vulnerabilities of the pinned packages
python3 bootstrap.py install    sets up .venv only

What follows the verb is handed on: `demo seed=1`, `test -k gammatone`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
CONSTRAINTS = HERE / "constraints.txt"


def run(*command: str | Path, **options: object) -> None:
    """Run a command; end with its status if it fails."""
    status = subprocess.run([str(c) for c in command], cwd=HERE, **options).returncode  # type: ignore[call-overload]
    if status != 0:
        raise SystemExit(status if status > 0 else 128 - status)


def pip(*arguments: str | Path) -> list[str | Path]:
    """A pip command that installs into the environment, with whichever pip there is."""
    inside = subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True)
    start: list[str | Path] = [PYTHON, "-m", "pip"]
    if inside.returncode != 0:
        start = [sys.executable, "-m", "pip", "--python", PYTHON]
    return [*start, *arguments]


def make_environment() -> None:
    """Create .venv; without the ensurepip module (Debian's bare python3) the outer pip is used."""
    if PYTHON.exists():
        return
    bare = importlib.util.find_spec("ensurepip") is None
    run(sys.executable, "-m", "venv", *(["--without-pip"] if bare else []), VENV)


def pinned(package: str) -> str:
    """The package with the version that constraints.txt pins."""
    for line in CONSTRAINTS.read_text().splitlines():
        if line.lower().startswith(package.lower() + "=="):
            return line.strip()
    raise SystemExit(f"{CONSTRAINTS}: {package} is not pinned")


def install_torch() -> None:
    """Install torch: a CUDA build where there is an NVIDIA GPU, else a CPU build if one can be had.

    pip's own choice is tried first; if on a machine without a GPU that would be a CUDA build (2 GB
    and more), uv fetches the CPU build from PyTorch's own index.
    """
    torch = pinned("torch")
    if shutil.which("nvidia-smi") is None:
        command = pip("install", "--quiet", "--dry-run", "--report", "-", torch)
        report = subprocess.run(command, cwd=HERE, capture_output=True, text=True)
        names = []
        if report.returncode == 0:
            found = json.loads(report.stdout)["install"]
            names = [item["metadata"]["name"].lower() for item in found]
        if any(name.startswith(("nvidia", "cuda")) for name in names):
            run(*pip("install", "--quiet", "uv"))
            uv: list[str | Path] = [PYTHON, "-m", "uv", "pip", "install", "--python", PYTHON]
            wheels = ["--torch-backend", "cpu", torch, pinned("torchaudio")]
            if subprocess.run([*uv, *wheels], cwd=HERE).returncode == 0:
                return
            print("PyTorch's CPU build cannot be had; taking the CUDA build", flush=True)
    run(*pip("install", "--quiet", torch))


def install() -> None:
    """Bring .venv to the state that pyproject.toml and constraints.txt describe."""
    make_environment()
    wanted = hashlib.sha256()
    for file in (HERE / "pyproject.toml", CONSTRAINTS, Path(__file__)):
        wanted.update(file.read_bytes())
    stamp = VENV / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted.hexdigest():
        return
    print("setting up .venv (about three minutes the first time)", flush=True)
    install_torch()
    run(*pip("install", "--quiet", "-c", CONSTRAINTS, "-e", ".[dev]"))
    stamp.write_text(wanted.hexdigest())


def demo(arguments: list[str]) -> None:
    """Train the paper's SS-0.5-0.5 on the simulated corpus at demo scale."""
    run(PYTHON, "-m", "asd.train", "+experiment=ss_0.5", *arguments)


def test(arguments: list[str]) -> None:
    """Lint, types, tests."""
    run(PYTHON, "-m", "ruff", "check", ".")
    run(PYTHON, "-m", "ruff", "format", "--check", ".")
    run(PYTHON, "-m", "mypy")
    # Two workers of one thread each beat one of two, and do not slow each other.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    run(
        PYTHON,
        "-m",
        "pytest",
        "-n",
        "2",
        "-q",
        *arguments,
        env=environment,
    )


def audit(arguments: list[str]) -> None:
    """Ask osv.dev for vulnerabilities of what constraints.txt pins; without an answer, say so.

    One that a newer version mends is a failure; another can only be told of.
    """
    tool = subprocess.run(pip("install", "--quiet", "-c", CONSTRAINTS, "pip-audit>=2.10,<3"))
    flags = ["--no-deps", "--disable-pip", "-s", "osv", "-f", "json", "--progress-spinner", "off"]
    command = [str(PYTHON), "-m", "pip_audit", "-r", str(CONSTRAINTS), *flags, *arguments]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True)
    if tool.returncode != 0 or not done.stdout.startswith("{"):
        why = done.stderr.strip().splitlines() or ["no answer"]
        print(f"audit SKIPPED, nothing was checked: {why[-1]:.300}")
        return
    packages = json.loads(done.stdout)["dependencies"]
    known = [(p["name"], p["version"], v) for p in packages for v in p.get("vulns", [])]
    for name, version, one in known:
        print(f"{name} {version}: {one['id']}, mended in {one['fix_versions'] or 'no version yet'}")
    print(f"audit: {len(packages)} packages, {len(known)} known vulnerabilities")
    if any(one["fix_versions"] for _, _, one in known):
        raise SystemExit(1)


def main() -> None:
    """Verb and what is handed on."""
    verbs = {"install": lambda _: None, "demo": demo, "test": test, "audit": audit}
    if len(sys.argv) < 2 or sys.argv[1] not in verbs:
        print(__doc__)
        raise SystemExit(2)
    if sys.version_info < (3, 11):  # noqa: UP036 (runs before any packaging metadata is read)
        raise SystemExit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
    install()
    verbs[sys.argv[1]](sys.argv[2:])


if __name__ == "__main__":
    main()
