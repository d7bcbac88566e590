from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from asd.errors import AsdError
from asd.scoring.clip_scores import COLUMNS, joined, read_scores, write_scores

HEADER = "machine,id,file,label,score\n"


def frame_of(scores: list[float], labels: list[int] | None = None) -> pd.DataFrame:
    frame = pd.DataFrame({"machine": "fan", "id": "00", "score": scores})
    frame["label"] = labels or 0
    frame["file"] = [f"fan/test/clip_{i:02d}.wav" for i in range(len(scores))]
    return frame[["machine", "id", "file", "label", "score"]]


def test_round_trip_is_exact_and_keeps_id_as_text(tmp_path: Path) -> None:
    scores = [0.1 + 0.2, 1 / 3, 5e-324, -1.7976931348623157e308, 2.0, np.nextafter(1, 2)]
    frame = frame_of(scores, [0, 1, -1, 0, 1, 0])
    frame.insert(0, "section", "a")
    frame.loc[:1, "file"] = ['a,"b".wav', "Lüfter ☃\n.wav"]
    frame["mse"] = np.pi
    frame["cce"] = [0.5, np.nan, 1.5, 2.5, 3.5, 4.5]
    frame["windows"] = 3
    write_scores(tmp_path / "new folder" / "scores.csv", frame)
    back = read_scores(tmp_path / "new folder" / "scores.csv")
    assert list(back.columns) == [*COLUMNS, "section", "mse", "cce", "windows"]
    pd.testing.assert_frame_equal(back, frame[back.columns], check_exact=True)
    assert back["id"].tolist() == ["00"] * 6
    assert back["score"].dtype == np.float64
    assert back["label"].dtype == np.int64
    assert [p.name for p in (tmp_path / "new folder").iterdir()] == ["scores.csv"]


def test_names_come_back_and_float32_as_its_float64_value(tmp_path: Path) -> None:
    frame = frame_of([0.0, 1.0])
    frame["file"] = ['a,"b".wav', "Lüfter ☃.wav"]
    frame["score"] = np.array([0.1, 1], dtype=np.float32)
    write_scores(tmp_path / "s.csv", frame)
    back = read_scores(tmp_path / "s.csv")
    assert back["file"].tolist() == ['a,"b".wav', "Lüfter ☃.wav"]
    assert back["score"].iloc[0] == float(np.float32(0.1))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("id", [0, 1], r"row 1 .*: column 'id' is 0"),
        ("machine", ["fan", ""], r"row 2 .*: column 'machine' is ''"),
        ("label", [0, 2], "'label' is 2"),
        ("label", ["0", "1"], "'label' is '0'"),
        ("score", ["low", "high"], "'score' is 'low'; it must be a finite number"),
        ("score", [0.0, np.nan], r"row 2 \(fan fan/test/clip_01\.wav\): column 'score' is nan"),
        ("score", [0.0, -np.inf], "'score' is -inf"),
        ("file", ["a.wav", "a.wav"], "stands twice"),
    ],
)
def test_write_refuses_a_bad_column(
    tmp_path: Path, column: str, values: list[object], message: str
) -> None:
    frame = frame_of([1.0, 2.0])
    write_scores(tmp_path / "s.csv", frame)
    before = (tmp_path / "s.csv").read_bytes()
    frame[column] = values
    with pytest.raises(AsdError, match=message):
        write_scores(tmp_path / "s.csv", frame)
    assert (tmp_path / "s.csv").read_bytes() == before


def test_write_refuses_missing_columns(tmp_path: Path) -> None:
    with pytest.raises(AsdError, match="columns missing: id, score"):
        write_scores(tmp_path / "s.csv", frame_of([1.0]).drop(columns=["id", "score"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a CSV file"),
        ("machine,id,file,label\n", "columns missing: score"),
        (HEADER + "fan,00,a,0,1.0\nfan,00,b,0\n", "row 2 (fan b): column 'score' is nan"),
        (HEADER + "fan,00,a,0,1.0,2\n", "not a CSV file"),
        (HEADER + "fan,00,a,0,1.0\nfan,00,b,1,2,3\n", "not a CSV file"),
        (HEADER + "fan,00,a,0,1.0\nfan,00,b,1,\n", "row 2 (fan b): column 'score' is nan"),
        (HEADER + "fan,00,a,0,inf\n", "row 1 (fan a): column 'score' is inf"),
        (HEADER + "fan,00,a,0,1\nfan,00,b,0,high\n", "row 2 (fan b): column 'score' is 'high'"),
        (HEADER + "fan,00,a,normal,1\n", "row 1 (fan a): column 'label' is 'normal'"),
        (HEADER + "fan,,a,0,1\n", "row 1 (fan a): column 'id' is nan"),
        (HEADER + "fan,00,a,0,1\n\nfan,00,a,1,2\n", "row 2 (fan a): the clip stands twice"),
        (HEADER + "NA,00,a,0,1\nfan,00,c,7,1\n", "row 2 (fan c): column 'label' is 7"),
        (HEADER + 'fan,00,"a,0,1\n', "not a CSV file"),
    ],
)
def test_read_names_file_row_and_column(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "some_scores.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AsdError) as caught:
        read_scores(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_read_refuses_what_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(AsdError, match="cannot be read: No such file"):
        read_scores(tmp_path / "none.csv")
    with pytest.raises(AsdError, match="cannot be read"):
        read_scores(tmp_path)
    (tmp_path / "s.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(AsdError, match="not a CSV file in UTF-8"):
        read_scores(tmp_path / "s.csv")


def test_read_takes_what_a_spreadsheet_saves(tmp_path: Path) -> None:
    text = "score,label,file,id,machine\r\n1e-3,1,a.wav,00,fan\r\n"
    (tmp_path / "s.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    frame = read_scores(tmp_path / "s.csv")
    assert frame.to_dict("records") == [
        {"machine": "fan", "id": "00", "file": "a.wav", "label": 1, "score": 0.001}
    ]


def test_no_clips_are_a_scores_file_too(tmp_path: Path) -> None:
    write_scores(tmp_path / "s.csv", joined([frame_of([]), frame_of([])]))
    assert (tmp_path / "s.csv").read_text() == HEADER
    assert read_scores(tmp_path / "s.csv").empty
    frame = frame_of([1.0])
    assert joined([frame_of([]), frame]).equals(frame)
