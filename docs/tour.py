"""A tour in two minutes: a run, its scores, a clip drawn, two systems compared, an array scored.

    python docs/tour.py [FOLDER]

Needs nothing: it trains what it shows on simulated sounds, tiny models of two systems and three
seeds (FOLDER, by default tour/, keeps them; run again, it finds them). The numbers mean nothing.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

import asd
from asd.pictures.spectrograms import EXAMPLES, KeptClips, triptychs
from asd.reporting.bootstrap import Resampling
from asd.reporting.compare import compare
from asd.reporting.runs import collect_folder
from asd.reporting.systems import System
from asd.scoring.metrics import evaluate_scores

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "tour").absolute()
folder.mkdir(parents=True, exist_ok=True)

print("== 1. Train: six runs from one command; those that are finished are not trained again")
options = "+experiment=u,knn seed=0,1,2 scale=tiny data.machines=[fan,valve] tracking=off"
command = [sys.executable, "-m", "asd.train", "-m", *options.split()]
subprocess.run(command, cwd=folder, check=True)

print("\n== 2. Load runs: a folder is a run; here all of them")
runs = collect_folder(folder / "runs").runs
for run in runs:
    print(run.folder.name)
u = [run for run in runs if run.tags["experiment"] == "u"]
knn = [run for run in runs if run.tags["experiment"] == "knn"]

print("\n== 3. Scores: a row a test clip; every figure follows from them")
scores = u[0].scores
print(scores[["machine", "id", "label", "score"]].head())
metrics = evaluate_scores(scores, max_fpr=0.1)
print(metrics.per_machine[["machine", "auc", "pauc"]].round(3).to_string(index=False))
print(f"mean AUC {100 * metrics.mean['auc']:.2f} %")

print("\n== 4. A clip: what the network hears, what it makes of it, and where it errs")
examples = KeptClips.read(u[0].folder / "models" / "shared" / EXAMPLES)
title = "fan, SIMULATED, tiny: means nothing"
triptychs(examples, "fan", title, picture := folder / "fan.png")
print("drawn:", picture)

print("\n== 5. Two systems: the same clips, three trainings of each")
how = Resampling()
table = compare(System("U", u, 0.1, how), System("kNN", knn, 0.1, how), "auc")
columns = ["machine", "mean_a", "mean_b", "difference_low", "difference_high", "verdict"]
print(table[columns].round(3).to_string(index=False))

print("\n== 6. An array: a second of noise, as a recording that the model never heard")
wave = 0.1 * np.random.default_rng(0).standard_normal(16000).astype("float32")
score = asd.load(u[0].folder).score(wave, 16000)["score"]
normal = scores.loc[scores["label"] == 0, "score"]
print(f"score {score:.3f}; the normal test clips': {normal.min():.3f} to {normal.max():.3f}")
