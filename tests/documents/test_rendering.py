"""A document in each format: nothing is lost, and nothing in it is taken for markup."""

from __future__ import annotations

import base64
import io
import re
import zipfile
from csv import reader as csv_reader
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from asd.documents import rendering, terminal
from asd.documents.blocks import Block, Figure, Heading, Line, Table, Text

ROOT = Path(__file__).parents[2]
NASTY = "a_b <i>|x` [bold]50 %"
PNG = b"\x89PNG not really"


@pytest.fixture
def blocks(tmp_path: Path) -> list[Block]:
    picture = tmp_path / "out" / "a picture.png"
    picture.parent.mkdir()
    picture.write_bytes(PNG)
    rows = [[[Line(NASTY), Line("[1, 2]", "interval")], [Line("-1.20", "value")]]] * 2
    return [
        Heading("Title", 1),
        Heading(NASTY, 2),
        Text("loud & clear", "loud"),
        Text("python -m asd.train 'a=<1>'", "commands"),
        Table(["", NASTY], rows, "Numbers", notes=["a note ±"]),
        Table(["w", "x"], [[[Line("word")], [Line("word")]]], "Words", texts=2),
        Table(["w", "x"], [[[Line("[y")], [Line("3")]]], folded="Further"),
        Figure(picture, "what it shows", folded="Further"),
    ]


def test_html_is_one_page_with_pictures_and_style_inside(blocks: list[Block]) -> None:
    page = rendering.html(blocks)
    tree = ElementTree.fromstring(page.removeprefix("<!doctype html>"))  # all tags are closed
    texts = [element.text for element in tree.iter()]
    assert texts.count("Title") == 2 and "<i>" not in page
    assert texts.count(NASTY) == 5  # contents, heading, column, and a cell a row
    (link,) = (element.get("href", "") for element in tree.iter("a"))
    assert tree.find(f".//h2[@id='{link[1:]}']") is not None and link[0] == "#"
    (picture,) = (element.get("src", "") for element in tree.iter("img"))
    assert picture == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    (folded,) = tree.iter("details")
    assert folded.find(".//img") is not None and folded.find(".//table") is not None
    assert ".value {" in page and '<span class="value">-1.20</span>' in page


def test_markdown_links_pictures_and_escapes(blocks: list[Block], tmp_path: Path) -> None:
    page = rendering.markdown(blocks, tmp_path / "out")
    assert page.startswith(
        "# Title\n\n## a_b &lt;i&gt;\\|x\\` [bold]50 %\n\n**loud & clear**\n\n```\n"
    )
    assert "| --- | ---: |\n| a_b &lt;i&gt;" in page and "<br>[1, 2] | -1.20 |\n" in page
    assert "](a%20picture.png)\n\nwhat it shows\n" in page
    assert "](../out/a%20picture.png)" in rendering.markdown(blocks, tmp_path / "elsewhere")
    assert {
        line.replace("\\|", "").count("|") for line in page.splitlines() if line[:1] == "|"
    } == {3}


def test_latex_has_the_tables_of_numbers_with_even_rows(blocks: list[Block]) -> None:
    text = rendering.latex(blocks)
    bodies = re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", text, re.S)
    assert [columns for columns, _ in bodies] == ["lr", "lr"]
    for _, body in bodies:
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert {len(re.split(r"(?<!\\)&", row)) for row in rows} == {2}
        assert not any(row.startswith("[") for row in rows)
    assert r"\caption{Numbers. a note $\pm$}" in text and text.count(r"\addlinespace") == 1
    assert r"{\scriptsize [1, 2]} &  \\" in text and "{}[y & 3" in text and "$-$1.20" in text
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert re.search(r"(?<!\\)[%#_±]", text.split("\n", 1)[1]) is None


@pytest.mark.parametrize("width", [50, 14])
def test_the_terminal_loses_nothing_however_narrow(blocks: list[Block], width: int) -> None:
    stream = io.StringIO()
    terminal.show(blocks, Console(file=stream, width=width))
    lines = stream.getvalue().splitlines()
    assert "…" not in stream.getvalue()
    assert all(len(line) <= width for line in lines if "python" not in line)
    squeezed = re.sub(r"\s", "", stream.getvalue())
    for text in ("-1.20", "loud&clear", "anote±", "python-masd.train'a=<1>'"):
        assert text in squeezed
    if width == 50:
        assert sum(NASTY in line for line in lines) == 4
    assert "[y" not in squeezed  # it is folded


def test_markdown_has_no_tag_and_no_link_of_a_text() -> None:
    escaped = rendering.escape_markdown("<img src=x onerror=alert(1)> [a](javascript:b) [0, 1]")
    assert escaped == "&lt;img src=x onerror=alert(1)&gt; [a]\\(javascript:b) [0, 1]"


def test_a_spreadsheet_computes_no_cell() -> None:
    texts = ["=cmd|' /C calc'!A0", "+1+cmd", "-x", "@SUM(A1)", "\t=1", "＝1", "-1.5 2e-3", "-1",
             "fan"]  # fmt: skip
    frame = pd.DataFrame({"text": texts, "number": -1.5})
    rows = csv_reader(rendering.csv(frame).splitlines())
    cells = ["'=cmd|' /C calc'!A0", "'+1+cmd", "'-x", "'@SUM(A1)", "'\t=1", "'＝1", *texts[6:]]
    assert list(rows) == [["text", "number"], *([cell, "-1.500000"] for cell in cells)]


def test_latex_escapes() -> None:
    escaped = rendering.escape_latex("a_b 5 % {x} ±\\^")
    assert escaped == r"a\_b 5 \% \{x\} $\pm$\textbackslash{}\textasciicircum{}"
    assert [rendering.escape_latex(text) for text in ("-1.20", "-x")] == ["$-$1.20", "-x"]


def test_csv_has_six_digits_and_empty_cells_for_what_is_missing() -> None:
    frame = pd.DataFrame({"a": ["x, y", "z"], "b": [0.1 + 0.2, np.nan], "c": [1, 2]})
    assert rendering.csv(frame) == 'a,b,c\n"x, y",0.300000,1\nz,,2\n'


def test_a_wheel_carries_the_templates(tmp_path: Path) -> None:
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = set(zipfile.ZipFile(wheel).namelist())
    here = (ROOT / "asd" / "documents" / "templates").iterdir()
    assert {f"asd/documents/templates/{file.name}" for file in here} <= names
