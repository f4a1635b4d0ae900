"""A column folder: brew-eval's figures and intervals beside scikit-learn's roc_auc_score alone, ratio first.

usage: auc_folder.py BREW-EVAL ROWS ROUNDS    (called by scripts/bench/auc.sh; 10^8 rows take 1.7 GB in $TMPDIR)

Speeds are wall clock, and, in brackets, rows per second of CPU time, which says more on a busy machine.
"""
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
from sklearn.metrics import roc_auc_score

program, rows, rounds = sys.argv[1], int(float(sys.argv[2])), int(sys.argv[3])
threads = len(os.sched_getaffinity(0))
peer_rows = min(rows, 5_000_000)  # its memory grows with rows, its speed does not


def measured(run):
    begin, cpu = time.perf_counter(), sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) + time.process_time()
    out = run()
    used = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) + time.process_time() - cpu
    return out, time.perf_counter() - begin, used


with tempfile.TemporaryDirectory() as folder:
    rng = np.random.default_rng(1)
    score = rng.random(rows)
    outcome = rng.random(rows) < score
    np.save(f"{folder}/scores.npy", score)
    np.save(f"{folder}/targets.npy", outcome)
    np.save(f"{folder}/members.npy", np.sort(rng.integers(0, rows // 100 + 1, rows)))
    score, outcome = score[:peer_rows].copy(), outcome[:peer_rows].copy()
    ours, peer = [], []
    for _ in range(rounds):
        out, *times = measured(lambda: subprocess.run([program, "--json", "-j", str(threads), folder], check=True,
                                                      capture_output=True).stdout)
        ours.append(times)
        auc, *times = measured(lambda: roc_auc_score(outcome, score))
        peer.append(times)
    if rows == peer_rows:
        assert abs(json.loads(out)["metrics"]["auc"]["value"] - auc) < 1e-12
    (wall, cpu), (peer_wall, peer_cpu) = map(min, zip(*ours)), map(min, zip(*peer))
    print(f"{rows / wall / (peer_rows / peer_wall):.1f} times scikit-learn: {rows / wall / 1e6:.1f} M rows/s on {threads} "
          f"threads [{rows / cpu / 1e6:.1f}]; scikit-learn {peer_rows / peer_wall / 1e6:.2f} "
          f"[{peer_rows / peer_cpu / 1e6:.2f}]   [{rows:,} rows in a folder, with intervals]")
