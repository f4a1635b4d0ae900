#!/usr/bin/env python3
"""Writes testdata/eval/metrics.tsv: random answers, and what scikit-learn says of them.

usage: scripts/peers/metrics_goldens.py > testdata/eval/metrics.tsv

scikit-learn gives auc, average precision, auc per member, ndcg (ties averaged, with gains), logloss and
brier. Reciprocal rank, recall
and average precision are averaged over all orders of the tied rows, one by one; without ties, average
precision and reciprocal rank are also compared with scikit-learn's here. Coverage and popularity of the first k
are taken over all orders of ties, too; ece, copc, normalised entropy and ties are written out from their
definitions.
"""
import itertools
import math
import sys

import numpy as np
import sklearn
from sklearn.metrics import (average_precision_score, brier_score_loss, label_ranking_average_precision_score,
                             log_loss, ndcg_score, roc_auc_score)

K = 3


def orders(p):
    """All orders, best first, that differ only inside blocks of equal scores."""
    blocks = [np.flatnonzero(p == v) for v in np.unique(p)[::-1]]
    for parts in itertools.product(*(itertools.permutations(b) for b in blocks)):
        yield [i for part in parts for i in part]


def ranked(p, y, k):
    sums, count = np.zeros(3), 0
    for order in orders(p):
        hit = y[list(order)]
        rank = np.arange(1, len(hit) + 1)
        first = rank[hit > 0][0]
        sums += [1 / first, hit[:k].sum() / hit.sum(), (np.cumsum(hit) / rank)[hit > 0].mean()]
        count += 1
    mean = sums / count
    if len(set(p)) == len(p):
        assert math.isclose(mean[2], average_precision_score(y, p), rel_tol=1e-12)
        if y.sum() == 1:
            assert math.isclose(mean[0], label_ranking_average_precision_score([y], [p]), rel_tol=1e-12)
    return mean


def in_top(p, k):
    """How often each row stands among the first k, over all orders of the ties."""
    share, count = np.zeros(len(p)), 0
    for order in orders(p):
        share[list(order[:k])] += 1
        count += 1
    return share / count


def ece(p, y, w):
    total, before, gaps = w.sum(), 0.0, np.zeros(15)
    for v in np.unique(p):
        at = p == v
        mass = w[at].sum()
        gaps[min(14, int(15 * (before + mass / 2) / total))] += (w[at] * (y[at] - v)).sum()
        before += mass
    return np.abs(gaps).sum() / total


def measure(member, group, item, p, y, w, gain):
    both = [m for m in np.unique(member) if 0 < y[member == m].mean() < 1]
    aucs = [roc_auc_score(y[member == m], p[member == m], sample_weight=w[member == m]) for m in both]
    sizes = [w[member == m].sum() for m in both]
    lists, tied, pairs = [], 0, 0
    names, rows = np.unique(item, return_counts=True)
    popularity = {i: ((rows < c).mean() + (rows <= c).mean()) / 2 for i, c in zip(names, rows)}
    missed, top, shown = dict.fromkeys(names, 1.0), 0.0, 0.0
    for g in np.unique(group):
        at = group == g
        n = at.sum()
        pairs += n * (n - 1) / 2
        tied += sum(c * (c - 1) / 2 for c in np.unique(p[at], return_counts=True)[1])
        for i, q in zip(item[at], in_top(p[at], K)):
            missed[i] *= 1 - q
            top += q
            shown += q * popularity[i]
        if y[at].sum():
            ndcg = ndcg_score([gain[at]], [p[at]], k=K) if n > 1 else 1.0
            lists.append([ndcg, *ranked(p[at], y[at], K)])
    clipped = np.clip(p, 1e-15, 1 - 1e-15)
    out = {"positive_rate": np.average(y, weights=w)}
    if 0 < y.mean() < 1:
        out["auc"] = roc_auc_score(y, p, sample_weight=w)
    if y.any():
        out["pr_auc"] = average_precision_score(y, p, sample_weight=w)
    if both:
        out["auc_member"] = np.mean(aucs)
        out["auc_member_weighted"] = np.average(aucs, weights=sizes)
    if lists:
        out.update(zip((f"ndcg@{K}", "mrr", f"recall@{K}", "map"), np.mean(lists, axis=0)))
    out[f"coverage@{K}"] = 1 - np.mean(list(missed.values()))
    out[f"popularity@{K}"] = shown / top
    out["logloss"] = log_loss(y, clipped, sample_weight=w, labels=[0, 1])
    rate = out["positive_rate"]
    if 0 < rate < 1:
        out["normalised_entropy"] = out["logloss"] / -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    out["brier"] = brier_score_loss(y, p, sample_weight=w)
    out["ece"] = ece(p, y, w)
    out["copc"] = (w * y).sum() / (w * p).sum()
    if pairs:
        out["ties"] = tied / pairs
    return out


def case(name, seed, n, members, group_size, digits=None, weights=False, rate=0.4, edges=False,
         rates=False, gains=False):
    rng = np.random.default_rng(seed)
    member = np.sort(rng.integers(0, members, n))
    group = np.arange(n) // group_size * 1000 + member  # a group never spans members
    truth = 1 / (1 + np.exp(-(rng.normal(size=n) + np.log(rate / (1 - rate)))))
    y = (rng.random(n) < truth).astype(int)
    p = np.clip(truth + 0.1 * rng.normal(size=n), 0.001, 0.999)
    if name == "constant":
        p[:] = 0.3
    elif digits is not None:
        p = np.round(p, digits)
    if edges:
        p[rng.random(n) < 0.1] = 0.0
        p[rng.random(n) < 0.1] = 1.0
    w = np.round(rng.gamma(2, 1, n), 3).astype(np.float32).astype(float) if weights else np.ones(n)
    if rates:  # negatives kept with a rate count 1 / rate
        w = np.where(y == 1, w, w / 0.125)
    item = np.minimum(rng.geometric(0.1, n), 40)
    gain = np.where(y == 1, rng.choice([1.0, 3.0, 7.0], n), rng.choice([0.0, 0.5], n)) if gains else y.astype(float)
    for row in zip(member, group, item, p, y, w, gain):
        print("row", name, *row[:3], *(repr(float(v)) for v in row[3:]), sep="\t")
    for key, value in measure(member, group, item, p, y, w, gain).items():
        print("want", name, key, repr(float(value)), sep="\t")


print(f"# scripts/peers/metrics_goldens.py, scikit-learn {sklearn.__version__}, numpy {np.__version__}; k = {K}")
print("# row CASE member group item score positive weight gain; want CASE metric value")
case("plain", 1, 200, 12, 6)
case("ties", 2, 200, 10, 6, digits=1)
case("constant", 3, 60, 5, 5)
case("weights", 4, 150, 9, 6, weights=True)
case("weights_ties", 5, 150, 9, 5, digits=1, weights=True)
case("rare", 6, 300, 25, 7, rate=0.04)
case("often", 7, 120, 15, 4, rate=0.95, digits=2)
case("edges", 8, 120, 10, 6, edges=True)
case("single", 9, 80, 40, 1, digits=2)
case("few", 10, 5, 2, 3)
case("rates", 11, 150, 10, 6, rates=True, digits=2)
case("gains", 12, 160, 10, 6, gains=True)
case("gains_ties", 13, 160, 10, 6, gains=True, digits=1, weights=True, rates=True)
sys.stdout.flush()
