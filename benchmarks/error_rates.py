"""How often the report's intervals err, at nominal 5 %: two equal systems are called different.

    python -m benchmarks.error_rates [--repetitions 4000] [--clips 20]

Both systems have the same AUC over all the clips and trainings there could be. In every repetition
clips are drawn, hard ones hard for all; each system finds some clips harder than the other does,
and each training too; and each training separates anomalies better or worse by a luck of its own,
``spread`` times as wide as what the clips do to a difference. AUCs are counted here, pair by pair;
only the interval is the report's. Rows of one number are a single system: how often the interval
of its mean leaves out the true one.
"""

from __future__ import annotations

import argparse
from functools import cache

import numpy as np
from scipy import stats

from asd.reporting.bootstrap import Floats, Resampling, Sample, estimate

IDS, SHIFT, OF_SYSTEM, OF_TRAINING = 2, 1.0, 0.3, 0.3
WIDTH = (2 * (1 + OF_SYSTEM**2 + OF_TRAINING**2)) ** 0.5  # the AUC is Phi(SHIFT / WIDTH)
SPREADS = (0.0, 0.3, 1.0, 3.0)
SEEDS = ((2, 2), (3, 3), (5, 5), (10, 10), (3, 10), (1,), (2,), (3,), (5,), (10,))


def error_rate(
    seeds: tuple[int, ...], spread: float, repetitions: int, clips: int = 20, better: float = 0.0
) -> float:
    """The share of intervals that leave out a difference of zero; of one system, its true mean.

    Args:
        seeds: trainings of each system, or of the only one.
        spread: standard deviation of a training's AUC over the standard error of a difference over
            clips.
        repetitions: how many intervals.
        clips: normals, and as many anomalies, of each of two machine IDs.
        better: by how many of those standard errors the first system is better.
    """
    rng, how = np.random.default_rng(1), Resampling(200)
    unit = _clip_error(clips) * WIDTH / stats.norm.pdf(SHIFT / WIDTH)  # of the shift
    truth = 0.0 if len(seeds) == 2 else stats.norm.cdf(SHIFT / np.hypot(WIDTH, spread * unit))
    ahead = [better, 0][: len(seeds)]
    wrong = 0
    for _ in range(repetitions):
        luck = spread * rng.standard_normal(sum(seeds)) + np.repeat(ahead, seeds)
        values, resampled = _aucs(rng, seeds, SHIFT + unit * luck, clips, how.resamples)
        parts = [slice(seeds[0]), slice(seeds[0], None)][: len(seeds)]
        found = estimate(how, *(Sample(values[part], resampled[part]) for part in parts))
        wrong += not found.low <= truth <= found.high
    return wrong / repetitions


def _aucs(
    rng: np.random.Generator, seeds: tuple[int, ...], shift: Floats, clips: int, resamples: int
) -> tuple[Floats, Floats]:
    """[trainings] and [trainings, resamples], means over machine IDs."""
    values, resampled = [], []
    for _ in range(IDS):
        normal, anomaly = (
            rng.standard_normal(clips)
            + OF_SYSTEM * np.repeat(rng.standard_normal((len(seeds), clips)), seeds, axis=0)
            + OF_TRAINING * rng.standard_normal((sum(seeds), clips))
            for _ in range(2)
        )
        above = (anomaly + shift[:, None])[:, :, None] > normal[:, None, :]
        drawn = rng.multinomial(clips, np.full(clips, 1 / clips), (2, resamples)) / clips
        values.append(above.mean(axis=(1, 2)))
        resampled.append(((above @ drawn[0].T) * drawn[1].T).sum(axis=1))
    return np.mean(values, axis=0), np.mean(resampled, axis=0)


@cache
def _clip_error(clips: int) -> float:
    """Standard error over clips of the difference of two systems of many equal trainings."""
    rng = np.random.default_rng(0)
    values = [_aucs(rng, (10, 10), np.full(20, SHIFT), clips, 1)[0] for _ in range(400)]
    return float(np.std([one[:10].mean() - one[10:].mean() for one in values]))


def main() -> None:
    """Print the table of docs/report.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=4000)
    parser.add_argument("--clips", type=int, default=20)
    options = parser.parse_args()
    print("| seeds |", " | ".join(f"spread {spread:g}" for spread in SPREADS), "|")
    for seeds in SEEDS:
        errors = [error_rate(seeds, s, options.repetitions, options.clips) for s in SPREADS]
        rates = " | ".join(f"{100 * error:.1f}" for error in errors)
        print(f"| {', '.join(map(str, seeds))} | {rates} |", flush=True)


if __name__ == "__main__":
    main()
