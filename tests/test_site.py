"""The documentation: the site builds with every link going somewhere, and its commands are run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import optuna
import pytest
import soundfile
from postgres import free_port

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# What is not run here, and why; a regular expression that matches the whole command.
LEFT_OUT = {
    r"python3 bootstrap\.py .*|source .*|pip install .*": "installs, for minutes; CI begins so",
    r"python -m pytest .*|ruff .*": "is what runs this",
    r"python -m asd\.data\.download.*": "fetches; tests/data/download has a server of its own",
    r"python -m asd\.report data=dcase2020 .*": "needs runs on the corpus",
    r"docker .*|cp \.env.*": "needs a container engine; tests/test_compose.py",
    r".*(http://127\.0\.0\.1|postgresql://).*": "needs a server; tests/tracking, tests/search",
    r"mlflow ui .*|optuna-dashboard .*": "is a server; test_servers_answer_as_printed",
    r"python -m mlflow models serve .*": "is a server; tests/test_register.py",
    r"python onnx_runner\.py .*": "is a file on its own; tests/deployment",
    r".*submitit_slurm.*": "needs a cluster; tests/sweeps",
    r"python -m asd\.report scale=small .*": "needs runs that are not tiny",
    r".*--watch.*": "does not end before the sweep",
    r"export .*": "sets a variable for what follows",
    r"python -m asd\.train \.\.\.": "stands for the reader's command",
}


def commands(page: Path) -> Iterator[str]:
    """Of its code blocks, fenced or indented: what a shell would be given, without comments."""
    text = re.sub(r"\\\n\s*", " ", page.read_text())
    blocks = re.findall(r"(?ms)^```(\w*)\n(.*?)^```", text)
    fenced = "\n".join(block for language, block in blocks if language in ("", "bash"))
    for line in [
        *fenced.splitlines(),
        *re.findall(r"(?m)^    (\S.*)", re.sub(r"(?ms)^```.*?^```", "", text)),
    ]:
        redirected = "[#>]" if '"claim=' not in line else "#"
        line = re.split(rf"\s{redirected}|   +(?=[a-z0-9])", line.strip())[0].strip()
        if re.match(
            r"(python3?|asd|pip|docker|mlflow|optuna-dashboard|export|cp|source|ruff) ", line
        ):
            yield line


# A run as printed takes a minute.
TINY = ["scale=tiny", "pictures=off"]
COMMANDS = sorted({command for page in PAGES for command in commands(page)})


def reason(command: str) -> str | None:
    """Why it is not run."""
    return next((why for which, why in LEFT_OUT.items() if re.fullmatch(which, command)), None)


def call(command: str, more: list[str], patch: pytest.MonkeyPatch) -> int:
    """Run it in this process, as ``python -m`` would."""
    _, _, module, *words = shlex.split(command)
    if "runs/*/" in words:  # as the shell does
        words = [str(path) for path in sorted(Path("runs").glob("[!.]*/"))]
    program = import_module(module)
    if not hasattr(program, "main"):
        program = import_module(f"{module}.__main__")
    patch.setattr(sys, "argv", [module, *words, *more])
    patch.setattr(sys, "orig_argv", [sys.executable, "-m", module, *words, *more])
    try:
        return int(program.main() or 0)
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which what the commands name is there: runs/NAME, DIR, HALL, new/clip.wav."""
    folder = tmp_path_factory.mktemp("reader")
    noise = np.random.default_rng(0)
    sounds = [folder / "new" / "clip.wav", folder / "new_clip.wav"]
    for corpus, training in [("DIR/development", 6), ("DIR/additional", 6), ("CLIPS", 130)]:
        for name, clips in [("train/normal", training), ("test/normal", 6), ("test/anomaly", 6)]:
            sounds += [folder / corpus / f"fan/{name}_id_00_{n:08d}.wav" for n in range(clips)]
    sounds += [folder / "confirmed" / f"{n}.wav" for n in range(4)]
    for name in ("normal", "anomaly"):
        sounds += [folder / f"MIMII/fan/test/{name}_id_00_{n:08d}.wav" for n in range(6)]
    table = ["path,machine,id,split,label"]
    for n in range(12):
        sounds += [folder / f"HALL/fan/normal/{n}.wav"]
        sounds += [folder / f"MIMII/6_dB_fan/fan/id_00/normal/{n}.wav"]
        table.append(f"fan/normal/{n}.wav,fan,00,,normal")
    for path in sounds:
        path.parent.mkdir(parents=True, exist_ok=True)
        loud = noise.uniform(0.02, 0.2)
        soundfile.write(path, loud * noise.standard_normal(40000), 16000)
    (folder / "HALL" / "clips.csv").write_text("\n".join(table))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for options in ("u", "u trainer.batch_size=16", "ss_0.5"):
            assert call(f"python -m asd.train +experiment={options}", TINY, patch) == 0
        # The promise of 1 % takes 99 normal clips.
        calibrated = "scope=per_machine data=folder data.root=CLIPS calibration.fraction=0.9"
        assert call(f"python -m asd.train +experiment=u {calibrated}", TINY, patch) == 0
        (run,) = (folder / "runs").glob("u-folder-*")
        shutil.copytree(run, folder / "runs" / "NAME")
        onnx = "runs/NAME/models/fan/model.onnx"
        assert call(f"python -m asd.export runs/NAME {onnx} CLIPS/fan/train", [], patch) == 0
        assert call("python -m asd.register runs/NAME name=fan", [], patch) == 0
        planned = ["+experiment=u", "seed=0", *TINY, "trainer.max_epochs=1"]
        claim = "python -m asd.preregister plan.json 'claim=u > ss_0.5'"
        assert call(claim, planned, patch) == 0
        assert call("python -m asd.train", planned, patch) == 0
    yield folder


def test_every_reason_has_its_command() -> None:
    assert not [w for w in LEFT_OUT if not any(re.fullmatch(w, command) for command in COMMANDS)]
    assert len(COMMANDS) >= 60


@pytest.mark.parametrize("command", [c for c in COMMANDS if reason(c) is None])
def test_commands_run_as_printed(
    command: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Trainings are tiny; on the corpus, which is not there, runs are composed and checked."""
    monkeypatch.chdir(place)
    more: list[str] = []
    if " asd.train " in command and "--help" not in command:
        more = [*TINY, "trainer.validation_fraction=0.4"] if "per_id" in command else TINY
        if ("sweep=search" in command or "optuna" in command) and "n_trials" not in command:
            more = [*more, "hydra.sweeper.n_trials=6"]
        if "data=dcase2020" in command and " -m +sweep" in command:
            command = command.replace("asd.train -m", "asd.sweeps status")
        elif "data=dcase2020" in command:
            more = ["--cfg", "job"]
    elif " asd.preregister " in command:  # plan.json is there, and so are the tiny runs
        command = command.replace("plan.json", "another.json")
        more = [*TINY, "trainer.max_epochs=1", "trainer.batch_size=8"]
    status = call(command, more, monkeypatch)
    assert status == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("program", "page", "told"),
    [
        ("mlflow", "ajax-api/2.0/mlflow/experiments/search?max_results=9", "SIMULATED"),
        ("optuna-dashboard", "api/studies", "fans"),
    ],
)
def test_servers_answer_as_printed(program: str, page: str, told: str, place: Path) -> None:
    """With the experiment of the runs, or the study, in what they answer."""
    if program == "optuna-dashboard":
        url = f"sqlite:///{place / 'runs' / 'optuna.db'}"
        optuna.create_study(storage=url, study_name=told, load_if_exists=True)
    (command,) = [c for c in COMMANDS if c.startswith(f"{program} ")]
    path = str(Path(sys.executable).parent / program)
    words, port = shlex.split(command)[1:], str(free_port())
    server = subprocess.Popen([path, *words, "--port", port], cwd=place, start_new_session=True)
    try:
        for _ in range(300):
            assert server.poll() is None
            with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/{page}") as answer:
                assert told in answer.read().decode()
                break
            time.sleep(1)
        else:
            pytest.fail(f"{command}: no answer within five minutes")
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def test_the_site_builds_and_no_link_leads_nowhere(tmp_path: Path) -> None:
    flags = ["-q", "-W", "--keep-going", "-n", "-c", str(ROOT / "docs"), "-d", str(tmp_path / "x")]
    command = [sys.executable, "-m", "sphinx", *flags, str(ROOT), str(tmp_path / "site")]
    environment = {**os.environ, "PYTHONWARNINGS": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    pages = {p.stem for p in (tmp_path / "site").rglob("*.html")}
    assert {p.stem for p in PAGES} <= pages


def test_the_tour_runs(tmp_path: Path) -> None:
    script = str(ROOT / "docs" / "tour.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, script, str(tmp_path / "tour")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    headings = re.findall(r"(?m)^== (\d)", done.stdout)
    assert headings == list("123456")
    assert "not decidable" in done.stdout or "is better" in done.stdout
    assert (tmp_path / "tour" / "fan.png").stat().st_size > 10_000
