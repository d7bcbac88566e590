"""Time of the metrics of one run against scikit-learn's, on the development test set's sizes.

    python -m benchmarks.metrics [--repeats 20]

Random scores, one thread. "same figures" is AUC and pAUC of each of the 23 machine IDs, which is
what both can do; "all" adds eq. (3), pooled and mean figures and the checks of the frame.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from asd.scoring.metrics import evaluate_scores
from asd.scoring.roc import area, partial_area, roc_counts

# normal and anomaly clips of each machine ID in the DCASE 2020 Task 2 development test set
SIZES = {
    "ToyCar": [(350, 264), (350, 265), (350, 265), (350, 265)],
    "ToyConveyor": [(800, 400), (800, 355), (799, 355)],
    "fan": [(100, 407), (100, 359), (100, 348), (100, 361)],
    "pump": [(100, 143), (100, 111), (100, 100), (100, 102)],
    "slider": [(100, 356), (100, 267), (100, 178), (100, 89)],
    "valve": [(100, 119), (100, 120), (100, 120), (100, 120)],
}


def clips() -> pd.DataFrame:
    """A scores frame of 10,868 clips."""
    rng = np.random.default_rng(0)
    parts = []
    for machine, sizes in SIZES.items():
        for number, (normal, anomaly) in enumerate(sizes):
            labels = np.repeat([0, 1], [normal, anomaly])
            files = [f"{machine}/test/{number:02d}_{i:08d}.wav" for i in range(len(labels))]
            part = pd.DataFrame({"machine": machine, "id": f"{number:02d}", "file": files})
            part["label"], part["score"] = labels, rng.gamma(2, 1, len(labels)) + labels
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


def best(call: Callable[[], object], repeats: int) -> float:
    """Shortest of `repeats` runs, in ms."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Metrics against scikit-learn.")
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    frame = clips()
    groups = [
        (part["label"].to_numpy(), part["score"].to_numpy())
        for _, part in frame.groupby(["machine", "id"])
    ]

    def areas() -> list[tuple[float, float]]:
        counts = [roc_counts(y, s) for y, s in groups]
        return [(area(*c), partial_area(*c, 0.1)) for c in counts]

    ours = areas()
    theirs = [(roc_auc_score(y, s), roc_auc_score(y, s, max_fpr=0.1)) for y, s in groups]
    difference = np.abs(np.array(ours) - np.array(theirs)).max()

    same = best(areas, repeats)
    library = best(
        lambda: [(roc_auc_score(y, s), roc_auc_score(y, s, max_fpr=0.1)) for y, s in groups],
        repeats,
    )
    everything = best(lambda: evaluate_scores(frame, 0.1), repeats)
    print(f"{len(groups)} machine IDs, {len(frame)} clips, best of {repeats}")
    print(f"scikit-learn, AUC and pAUC   {library:8.2f} ms")
    print(f"asd, same figures            {same:8.2f} ms   {library / same:.0f} times as fast")
    print(f"asd, all (evaluate_scores)   {everything:8.2f} ms")
    print(f"largest difference           {difference:.1e}")


if __name__ == "__main__":
    main()
