#!/usr/bin/env python3
"""Distillation beyond the labels, as PyTorch computes it: the whole vocabulary, the teacher's likeliest tokens,
hidden states.

    python3 scripts/peers/distil_goldens.py [testdata/models] [testdata/train]

Writes distil.json: for each of CASES the loss, its terms and gradients over the first requests of
train_goldens.py, and for some of them twenty steps of torch.optim.AdamW. Teacher and student are two of the
small random models; where one has more ids, those that both have are compared.
"""
import json
import math
import os
import sys

import torch
import torch.nn.functional as F

import train_goldens as base
from loss_goldens import divergence

CASES = [
    dict(name="vocabulary", teacher="llama-scaled", student="tiny", history=0.5, lm=0.25, alpha=0.6, tau=2.0,
         div="fkl", kd_vocab=["items", "history", "lm"], steps=True),
    dict(name="vocabulary, reverse", teacher="qwen2", student="llama-bias", history=0.5, lm=0.25, alpha=0.6, tau=1.5,
         div="rkl", kd_vocab=["items", "lm"], steps=True),
    dict(name="vocabulary, jsd", teacher="qwen3", student="llama-tied", history=0.5, lm=0.25, alpha=0.5, tau=1.0,
         div="jsd", skew=0.3, kd_vocab=["items", "history"]),
    dict(name="vocabulary, skew", teacher="llama-scaled", student="tiny", lm=0.25, alpha=1.0, tau=2.5, div="skew",
         skew=0.2, kd_vocab=["lm"]),
    dict(name="likeliest tokens", teacher="llama-scaled", student="tiny", history=0.5, alpha=0.6, tau=2.0, div="fkl",
         topk=5, steps=True),
    dict(name="likeliest tokens, reverse", teacher="llama-tied", student="qwen3", history=0.5, lm=0.25, alpha=0.6,
         tau=1.0, div="rkl", topk=20),
    dict(name="hidden states", teacher="llama-scaled", student="tiny", history=0.5, alpha=0.5, tau=1.0, div="fkl",
         hidden=2.0, rows="all", map=[[1, 2], [2, 3]], steps=True),
    dict(name="hidden states at answers", teacher="mistral", student="llama-bias", history=0.5, lm=0.25, alpha=0.5,
         tau=1.0, div="fkl", hidden=2.0, rows="answers", map=[[1, 3], [2, 2]], steps=True),
    dict(name="hidden states and vocabulary", teacher="qwen3", student="llama-tied", lm=0.25, alpha=0.5, tau=1.0,
         div="fkl", kd_vocab=["lm"], hidden=1.0, rows="all", map=[[1, 3]]),
]


def run(model, star):
    """Logits, and the residual stream after 1 .. L layers."""
    streams = []
    layers = model.model.layers

    def keep(_, __, out):
        streams.append((out[0] if isinstance(out, tuple) else out)[0])

    hooks = [layer.register_forward_hook(keep) for layer in layers]
    z = base.logits(model, star)
    for hook in hooks:
        hook.remove()
    return z, streams


def rows_of(request, case):
    """(term, row, ids of its labels, target or -1, weight), as the engine reads them."""
    star = base.Star(request, True)
    sets = base.SETS
    out = [("items", row, sets[s], target, weight)
           for row, (s, target, weight) in zip(star.ends, request["answers"])]
    if case.get("history"):
        out += [("history", row, sets[s], target, weight) for row, s, target, weight in request["history"]]
    if case.get("lm"):
        query, first = request["query"], len(request["query"])
        out += [("lm", row, [query[row + 1]], 0, 1.0) for row in range(len(query) - 1)]
        for item in request["items"]:
            if query:
                out.append(("lm", len(query) - 1, [item[0]], 0, 1.0))
            out += [("lm", first + k, [item[k + 1]], 0, 1.0) for k in range(len(item) - 1)]
            first += len(item)
    return star, out


def chosen(z, ids):
    """Their logits, and the rest as one."""
    rest = torch.ones(len(z), dtype=torch.bool)
    rest[ids] = False
    return torch.cat([z[ids], z[rest].logsumexp(0)[None]])


def distance(case, term, labels, teacher, student):
    how = case["div"], case["tau"], case.get("skew", 0.1)
    if term in case.get("kd_vocab", []):
        n = min(len(teacher), len(student))
        return divergence(*how, teacher[:n], student[:n])
    if case.get("topk"):
        others = teacher.clone()
        others[labels] = -torch.inf
        labels = labels + others.topk(case["topk"]).indices.tolist()
    return divergence(*how, chosen(teacher, labels), chosen(student, labels))


def hidden_rows(star, rows, case, last):
    answers = sorted(row for term, row, *_ in rows if term != "lm")
    return answers if last or case["rows"] == "answers" else range(star.ids.shape[1]) if rows else []


def matched(case, star, rows, t, s):
    """Values of the pairs of layers, row by row."""
    out = []
    for student, teacher in case.get("map", []):
        for row in hidden_rows(star, rows, case, student == len(s)):
            a, b = s[student - 1][row], t[teacher - 1][row]
            out.append(((a - b)**2).sum() / ((b**2).sum() + 1e-6 * len(b)))
    return out


def factors(case):
    a, h, l = case["alpha"], case.get("history", 0.0), case.get("lm", 0.0)
    kd_lm = "lm" in case.get("kd_vocab", [])
    return {"items": 1 - a, "items_kd": a, "history": (1 - a) * h, "history_kd": a * h,
            "lm": (1 - a) * l if kd_lm else l, "lm_kd": a * l, "hidden": case.get("hidden", 0.0)}


def accumulate(teacher, student, requests, case):
    """Gradients of a step in the student; the loss and its terms."""
    sums, weights, factor = {}, {}, factors(case)
    for request in requests:
        star, rows = rows_of(request, case)
        with torch.no_grad():
            t_z, t_streams = run(teacher, star)
        s_z, s_streams = run(student, star)
        losses = [("hidden", 1.0, x) for x in matched(case, star, rows, t_streams, s_streams)]
        for term, row, labels, target, weight in rows:
            z = s_z[row]
            if target >= 0:
                among = z if term == "lm" else z[labels]
                aim = labels[0] if term == "lm" else target
                losses.append((term, weight, F.cross_entropy(among[None], torch.tensor([aim]))))
            if term != "lm" or "lm" in case.get("kd_vocab", []):
                losses.append((term + "_kd", weight, distance(case, term, labels, t_z[row], z)))
        for term, weight, loss in losses:
            sums[term] = sums.get(term, 0) + weight * loss
            weights[term] = weights.get(term, 0) + weight
    means = {term: sums[term] / weights[term] for term in sums}
    total = sum(factor[term] * mean for term, mean in means.items())
    total.backward()
    return float(total.detach()), {term: float(mean.detach()) for term, mean in means.items()}


def trajectory(models, requests, case):
    teacher, student = (base.load(os.path.join(models, case[who])) for who in ("teacher", "student"))
    parameters = list(student.parameters())
    recipe = base.RECIPE
    groups = [dict(params=[p for p in parameters if p.dim() > 1], weight_decay=recipe["decay"]),
              dict(params=[p for p in parameters if p.dim() == 1], weight_decay=0.0)]
    adamw = torch.optim.AdamW(groups, lr=1.0, betas=recipe["betas"], eps=recipe["eps"])
    losses, norms = [], []
    for step in range(1, base.STEPS + 1):
        share = (step / base.WARMUP if step <= base.WARMUP
                 else 0.5 * (1 + math.cos(math.pi * (step - base.WARMUP - 1) / (base.STEPS - base.WARMUP))))
        for group in adamw.param_groups:
            group["lr"] = recipe["lr"] * share
        batch = [requests[((step - 1) * base.BATCH + j) % len(requests)] for j in range(base.BATCH)]
        adamw.zero_grad()
        losses.append(accumulate(teacher, student, batch, case)[0])
        norms.append(float(torch.nn.utils.clip_grad_norm_(parameters, recipe["clip"])))
        adamw.step()
    return dict(losses=losses, norms=norms)


def golden(models, requests, case):
    teacher, student = (base.load(os.path.join(models, case[who])) for who in ("teacher", "student"))
    loss, terms = accumulate(teacher, student, requests[:base.GRADIENT_REQUESTS], case)
    out = dict(case, loss=loss, terms=terms,
               tensors={n: base.summary(p.grad) for n, p in sorted(student.named_parameters())})
    if out.pop("steps", False):
        out["trajectory"] = trajectory(models, requests, case)
    print(case["name"], {k: round(v, 5) for k, v in terms.items()})
    return out


def main():
    models = sys.argv[1] if len(sys.argv) > 1 else "testdata/models"
    out = sys.argv[2] if len(sys.argv) > 2 else "testdata/train"
    torch.set_num_threads(1)
    requests = base.make_requests()
    cases = [golden(models, requests, case) for case in CASES]
    with open(os.path.join(out, "distil.json"), "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")


if __name__ == "__main__":
    main()
