"""Thresholds keep their word, and say where they cannot."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from asd.errors import AsdError
from asd.options import from_config
from asd.scoring.calibration import CalibrationOptions, Normals, decisions, normals_of, scores_by_id

KNOWN = {"fan/00": np.arange(1.0, 10), "fan/02": np.array([100.0]), "pump/00": np.array([1e3, 2e3])}
FAN = normals_of(KNOWN, "fan", "00")


@pytest.mark.parametrize(
    ("clips", "alpha"), [(9, 0.1), (50, 0.05), (99, 0.01), (150, 0.1), (20, 0.3)]
)
def test_over_1000_machines_false_alarms_are_as_rare_as_promised(clips: int, alpha: float) -> None:
    """One fresh normal clip a machine, so that alarms are independent, and their number binomial.

    Scores without ties: a clip's rank among n + 1 is uniform, so the rate is floor(alpha (n+1)) /
    (n+1), whatever the distribution: here another gamma for each machine.
    """
    random = np.random.default_rng(clips)
    alarms = 0
    for machine in range(1000):
        shape, scale = random.uniform(0.5, 9), random.lognormal()
        scores = random.gamma(shape, scale, clips + 1)
        normals = Normals(f"m{machine}/00", np.sort(scores[1:]))
        alarm = scores[0] > normals.threshold(alpha).value
        assert alarm == (normals.p_value(scores[0]) <= alpha)
        alarms += alarm
    rate = int(alpha * (clips + 1) + 1e-9) / (clips + 1)
    assert rate <= alpha
    low, high = scipy.stats.binom.interval(0.999, 1000, rate)
    assert low <= alarms <= high


def test_the_conformal_threshold_is_the_order_statistic_or_refused() -> None:
    """ceil((n+1)(1-alpha)) of n = 9: 9 at 0.1, 8 at 0.2, 5 at 0.5; below 1/10 there is none."""
    for alpha, value in ((0.1, 9), (0.2, 8), (0.25, 8), (0.5, 5)):
        assert FAN.threshold(alpha).value == value
    assert (FAN.bank, len(FAN.scores)) == ("fan/00", 9)
    assert "at most 10 % false alarms" in FAN.threshold(0.1).promise
    with pytest.raises(
        AsdError, match=r"fan/00: 9 normal .* promise 10 % .* best; 5 % needs 19 clips"
    ):
        FAN.threshold(0.05)
    for alpha in (0, 1, -0.1, float("nan")):
        with pytest.raises(AsdError, match=r"calibration\.false_alarms="):
            CalibrationOptions(0.2, "conformal", alpha, 60, 0.001)


def test_where_an_id_has_none_its_type_or_all_stand_for_it_and_it_is_said() -> None:
    normals = [normals_of(KNOWN, *which) for which in
               (("fan", "00"), ("fan", "06"), ("valve", "00"))]  # fmt: skip
    own, of_type, everything = (some.threshold(0.25) for some in normals)
    assert [some.bank for some in normals] == ["fan/00", "fan", "all"]
    assert [len(some.scores) for some in normals] == [9, 10, 12]
    assert "pooled" not in own.promise
    assert "pooled over fan: none were of this ID" in of_type.promise
    assert everything.value == 100.0
    with pytest.raises(AsdError, match="no calibration"):
        normals_of({}, "fan", "00")


def test_p_values_and_percentiles() -> None:
    assert [FAN.p_value(s) for s in (0, 5, 9, 9.5)] == [1, 0.6, 0.2, 0.1]
    assert FAN.percentile(0) == 0
    assert FAN.percentile(5) == pytest.approx(400 / 9)
    assert FAN.percentile(10) == 100


def test_the_organisers_rules_are_scipys_and_promise_nothing() -> None:
    scores = np.sort(np.random.default_rng(0).gamma(3, 2, 200))
    normals = Normals("fan/00", scores)
    limits = [normals.threshold(0.1, rule) for rule in ("gamma", "quantile")]
    fitted = scipy.stats.gamma(*scipy.stats.gamma.fit(scores))
    assert limits[0].value == pytest.approx(fitted.ppf(0.9))
    assert limits[1].value == pytest.approx(np.percentile(scores, 90))
    assert all("promises nothing" in limit.promise for limit in limits)
    with pytest.raises(AsdError, match="no gamma distribution fits the 3 normal clips"):
        Normals("fan/00", np.ones(3)).threshold(0.1, "gamma")


def test_decisions_by_hand() -> None:
    table = pd.DataFrame(
        {"machine": "fan", "id": ["00"] * 6 + ["02"], "file": list("abcdefg"),
         "label": [0, 0, 0, 1, 1, -1, 0], "score": [1, 8, 10, 9.5, 3, 99, 1]}
    )  # fmt: skip
    options = CalibrationOptions(0.2, "conformal", 0.1, 60, 0.001)
    assert scores_by_id(table.iloc[::-1])["fan/00"].tolist() == [1, 3, 8, 9.5, 10, 99]
    first, second = decisions(table, KNOWN, options)
    expected = {"threshold": 9.0, "clips": 9,
                "precision": 0.5, "recall": 0.5, "f1": 0.5, "false_alarm_rate": 1 / 3}  # fmt: skip
    assert {name: first[name] for name in expected} == expected
    assert "threshold" not in second
    assert second["promise"].startswith("no threshold: fan/02: 1 normal clips")


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"fraction": 1}, "fraction=1"), ({"rule": "gama"}, "did you mean gamma"),
     ({"false_alarms": 0}, "calibration.false_alarms=0"),
     ({"clips_per_hour": 0}, "calibration.clips_per_hour=0"),
     ({"clipped": 2}, "calibration.clipped=2")],
)  # fmt: skip
def test_options_that_cannot_be_are_named(changed: dict[str, object], message: str) -> None:
    options = {"fraction": 0, "rule": "gamma", "false_alarms": 0.1, "clips_per_hour": 60}
    options["clipped"] = 0.001
    with pytest.raises(AsdError, match=message):
        from_config(CalibrationOptions, "calibration", {**options, **changed})
