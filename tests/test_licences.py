"""Under which licences the packages stand that this one needs: docs/licences.md has them all."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

DOCUMENT = Path(__file__).parents[1] / "docs" / "licences.md"


def needed() -> set[str]:
    """Names of all packages that are installed with this one, extras left out."""
    found: set[tuple[str, str]] = set()
    waiting = [("asd", "")]
    while waiting:
        name, extra = waiting.pop()
        for text in distribution(name).requires or []:
            one = Requirement(text)
            if one.marker and not one.marker.evaluate({"extra": extra}):
                continue
            for part in ("", *one.extras):
                if (one.name, part) not in found:
                    found.add((one.name, part))
                    waiting.append((one.name, part))
    return {name.lower().replace("_", "-") for name, _ in found}


def stated(name: str) -> str:
    """What the package's metadata say; empty where only a file of it does."""
    about = distribution(name).metadata
    kinds = [kind.split(" :: ")[-1] for kind in about.get_all("Classifier", [])
             if kind.startswith("License :: ") and kind.count(" :: ") == 2]  # fmt: skip
    text = about.get("License-Expression") or ", ".join(kinds) or about.get("License") or ""
    return " ".join(text.split())


def test_every_licence_is_listed_and_none_binds_who_uses_this() -> None:
    lines = DOCUMENT.read_text().split("|---|---|\n")[1].splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    listed = {package: licence for licence, packages in rows for package in packages.split(", ")}
    for package in sorted(needed()):
        if package.startswith(("nvidia", "cuda", "triton")):  # of a CUDA build, said in a sentence
            continue
        assert stated(package) in ("", listed.get(package)), package
        assert package in listed, package
    assert not [licence for licence in listed.values() if "GPL" in licence]
