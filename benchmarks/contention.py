"""What busy processes beside training cost, by the wait policy of idle threads.

    python -m benchmarks.contention [--case demo] [--threads 2] [--steps 30]

OMP_WAIT_POLICY=passive is what asd.train sets; active is OpenMP's own default. The busy processes
do nothing but turn in a loop; "a training" is another one like it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

BUSY = "while True: pass"
PROBE = """
import time, torch
from benchmarks.cases import Bare, Case
from asd.training.speed import prepare
case, device = Case.of("{case}", []), torch.device("cpu")
torch.set_num_threads({threads})
detector = case.detector()
prepare(detector, case.options, device)
bare = Bare.of(case, detector, device, True)
times = []
for _ in range({steps}):
    start = time.perf_counter()
    bare.step()
    times.append(time.perf_counter() - start)
print(sorted(times)[len(times) // 2], sum(times) / len(times))
"""


def step_ms(
    case: str, threads: int, steps: int, policy: str, beside: list[str]
) -> tuple[float, float]:
    """Median and mean of a step beside other processes, each of which runs some code."""
    environment = {**os.environ, "OMP_WAIT_POLICY": policy}
    others = [subprocess.Popen([sys.executable, "-c", code], env=environment) for code in beside]
    try:
        run = subprocess.run(
            [sys.executable, "-c", PROBE.format(case=case, threads=threads, steps=steps)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        for other in others:
            other.kill()
            other.wait()
    middle, average = (1000 * float(x) for x in run.stdout.split())
    return middle, average


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Training beside busy processes.")
    parser.add_argument("--case", default="demo")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=30)
    options = parser.parse_args()
    print(f"{options.case}, {options.threads} threads: ms a step, median (mean)")
    for policy in ("passive", "active"):
        cells = []
        another = PROBE.format(case=options.case, threads=options.threads, steps=10**9)
        for name, beside in (
            ("alone", []),
            ("1 busy", [BUSY]),
            ("2 busy", [BUSY, BUSY]),
            ("a training", [another]),
            ("two", [another, another]),
        ):
            found = step_ms(options.case, options.threads, options.steps, policy, beside)
            cells.append(f"{name}: {found[0]:,.0f} ({found[1]:,.0f})")
        print(f"  OMP_WAIT_POLICY={policy:8}{'; '.join(cells)}")


if __name__ == "__main__":
    main()
