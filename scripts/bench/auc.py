"""Exact AUC: brew_auc beside scikit-learn's roc_auc_score, one after the other in each round, ratio first.

usage: auc.py PROGRAM ROWS ROUNDS    (scripts/bench/auc.sh builds the program)
"""
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
from sklearn.metrics import roc_auc_score

program, rows, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
threads = len(os.sched_getaffinity(0))

with tempfile.TemporaryDirectory() as folder:
    rng = np.random.default_rng(1)
    for name in ("distinct probabilities", "1,000 distinct values", "any sign"):
        score = rng.random(rows)
        outcome = (rng.random(rows) < score).astype(np.uint8)
        if name.startswith("1,000"):
            score = np.round(score, 3)
        if name == "any sign":
            score -= 0.5
        score.tofile(f"{folder}/score")
        outcome.tofile(f"{folder}/outcome")
        ours, one, peer = [], [], []
        for _ in range(rounds):
            for count, best in ((threads, ours), (1, one)):
                out = subprocess.run(
                    [program, f"{folder}/score", f"{folder}/outcome", str(rows), str(count), "2"],
                    check=True, capture_output=True, text=True).stdout.split()
                best.append(float(out[1]))
                auc = float(out[0])
            begin = time.perf_counter()
            want = roc_auc_score(outcome, score)
            peer.append(time.perf_counter() - begin)
            assert abs(auc - want) < 1e-12, (auc, want)
        speeds = [rows / min(times) / 1e6 for times in (ours, one, peer)]
        print(f"{speeds[0] / speeds[2]:.1f} times scikit-learn: {speeds[0]:.1f} M rows/s on {threads} threads, "
              f"{speeds[1]:.1f} on 1; scikit-learn {speeds[2]:.2f}   [{rows:,} rows, {name}]")
