"""How the house is built: layers, names and size."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted([*(ROOT / "asd").rglob("*.py"), *(ROOT / "hydra_plugins").rglob("*.py")])
# Of Python in asd/ and hydra_plugins/; what is added pays for itself elsewhere.
MOST_LINES = 18_500


def test_rooms_import_only_from_rooms_below_them() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    lint = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert lint.returncode == 0, lint.stdout + lint.stderr


def test_no_two_classes_have_one_name() -> None:
    names = Counter(
        node.name
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_no_two_files_have_one_name() -> None:
    ordinary = [path.stem for path in FILES if not path.stem.startswith("__")]
    # The programs are called what their rooms do: python -m asd.score, python -m asd.report.
    names = Counter(ordinary)
    assert [name for name, count in names.items() if count > 1] == []


def test_every_public_function_is_documented() -> None:
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in FILES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and ast.get_docstring(node) is None
    ]
    assert silent == []


def test_the_house_stays_small() -> None:
    assert sum(len(path.read_text().splitlines()) for path in FILES) <= MOST_LINES
