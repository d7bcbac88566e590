from __future__ import annotations

import pytest

from asd.errors import AsdError
from asd.options import check_choice, check_number, check_whole


@pytest.mark.parametrize("value", [0, 1, 2.5, 3])
def test_numbers_in_range_pass(value: float) -> None:
    check_number("x", value, 0, 3)


@pytest.mark.parametrize("value", [-1, 3.1, float("nan"), float("inf"), True, "2", None])
def test_other_numbers_are_refused_with_the_range(value: object) -> None:
    with pytest.raises(AsdError, match=r"x=.*: must be a number from 0 to 3"):
        check_number("x", value, 0, 3)


def test_open_ends() -> None:
    check_number("x", 1e300, 0)
    with pytest.raises(AsdError, match=r"must be a number above 0$"):
        check_number("x", 0, 0, above=True)
    with pytest.raises(AsdError, match="above 0 and at most 1"):
        check_number("x", 2, 0, 1, above=True)


@pytest.mark.parametrize("value", [0, 5, 1.0, True, "1", None])
def test_what_is_no_whole_number_in_range_is_refused(value: object) -> None:
    with pytest.raises(AsdError, match=r"x=.*: must be a whole number from 1 to 4"):
        check_whole("x", value, 1, 4)


def test_a_large_range_is_written_out() -> None:
    with pytest.raises(AsdError, match="from 0 to 4294967295"):
        check_whole("seed", -1, 0, 2**32 - 1)


def test_a_choice_is_compared_with_its_type() -> None:
    check_choice("x", True, ("auto", True, False))
    with pytest.raises(AsdError, match="x=1: must be one of auto, True, False"):
        check_choice("x", 1, ("auto", True, False))
