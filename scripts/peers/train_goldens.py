#!/usr/bin/env python3
"""Gradients and trajectories of the small random models, as PyTorch computes them.

    python3 scripts/peers/train_goldens.py [testdata/models] [testdata/train]

Writes requests.json, the stars that are learned from, and NAME.json for every model: gradients of four
losses over the first requests, and twenty steps of torch.optim.AdamW of three objectives. Everything runs
through transformers in float32 with eager attention, under a dense mask: a row sees its query's rows and its
own item's, within the window by position, and positions restart at the query's length in every item.

A gradient is kept as its norm and its sums under PROJECTIONS rows of random signs: the difference of two
such sums is, over the signs, a fair estimate of the length of the difference of two gradients. The signs are
those of lib/base/rng.h, so that the test draws them again.
"""
import json
import math
import os
import sys

import numpy as np
import torch
from transformers import AutoModelForCausalLM

MODELS = ["tiny", "llama-scaled", "llama-tied", "llama-bias", "qwen2", "qwen3", "mistral"]
VOCAB = 53  # of the smallest of them
PROJECTIONS = 8
GRADIENT_REQUESTS = 5
STEPS, BATCH, WARMUP = 20, 4, 4
RECIPE = dict(lr=2e-3, betas=[0.9, 0.99], eps=1e-8, decay=0.1, clip=1.0, history_weight=0.5)
# query length, item lengths, rows of the query that are read, too
SHAPES = [
    (17, [3, 1, 5], [4, 9, 16]), (0, [4, 2], []), (30, [], [7, 21]), (1, [1, 1], [0]), (66, [2, 9], [63, 64]),
    (12, [2, 2, 2, 2], [3]), (9, [6], []), (25, [1, 4], [10, 11, 24]), (5, [3, 3], [2]), (40, [7], [20, 30]),
]
SETS = [[3, 1, 40], [17, 5]]


def make_requests():
    draw = np.random.default_rng(5)
    ids = lambda n: draw.integers(VOCAB, size=n).tolist()

    def answer():  # set, target (one in eight unknown), weight
        which = int(draw.integers(len(SETS)))
        target = int(draw.integers(len(SETS[which]))) if draw.integers(8) else -1
        return [which, target, float(draw.choice([1, 1, 0.5, 2]))]

    return [dict(query=ids(q), items=[ids(n) for n in items], answers=[answer() for _ in items],
                 history=[[row] + answer() for row in history]) for q, items, history in SHAPES]


class Star:
    """One request as rows, with its dense masks."""

    def __init__(self, request, with_items):
        query, items = request["query"], request["items"] if with_items else []
        part = [0] * len(query)
        position = list(range(len(query)))
        ids = list(query)
        self.ends = []
        for i, item in enumerate(items):
            ids += item
            part += [i + 1] * len(item)
            position += range(len(query), len(query) + len(item))
            self.ends.append(len(ids) - 1)
        self.ids, self.position = torch.tensor([ids]), torch.tensor([position])
        row = torch.arange(len(ids))
        part, position = torch.tensor(part), torch.tensor(position)
        self.seen = (row[None] <= row[:, None]) & ((part[None] == 0) | (part[None] == part[:, None]))
        self.gap = position[:, None] - position[None]

    def mask(self, window):
        seen = self.seen & (self.gap < window) if window else self.seen
        return torch.where(seen, 0.0, torch.finfo(torch.float32).min)[None, None]


def logits(model, star):
    window = getattr(model.config, "sliding_window", None)
    if model.config.model_type == "qwen2":
        mask = {"full_attention": star.mask(None), "sliding_attention": star.mask(window)}
    else:
        mask = star.mask(window if model.config.model_type == "mistral" else None)
    return model(star.ids, attention_mask=mask, position_ids=star.position, use_cache=False).logits[0]


def reads(request, objective):
    """(term, row, targets, what is chosen among, weight) of the known answers; star rows."""
    star = Star(request, objective != "lm")
    if objective == "lm":
        ids = request["query"]
        return star, [("lm", row, ids[row + 1], None, 1.0) for row in range(len(ids) - 1)]
    over = (lambda which: None) if objective == "vocab" else (lambda which: SETS[which])
    aim = lambda which, target: SETS[which][target] if objective == "vocab" else target
    out = [("items", row, aim(which, target), over(which), weight)
           for row, (which, target, weight) in zip(star.ends, request["answers"]) if target >= 0]
    if objective != "items":
        out += [("history", row, aim(which, target), over(which), weight)
                for row, which, target, weight in request["history"] if target >= 0]
    return star, out


TERM_WEIGHTS = dict(items=1.0, history=RECIPE["history_weight"], lm=1.0)


def accumulate(model, requests, objective):
    """Gradients of a step: each term its own weighted mean over all requests. Returns the loss."""
    parts = [reads(request, objective) for request in requests]
    sums = {}
    for _, rows in parts:
        for term, _, _, _, weight in rows:
            sums[term] = sums.get(term, 0) + weight
    total = 0.0
    for star, rows in parts:
        if not rows:
            continue
        z = logits(model, star)
        loss = 0
        for term, row, target, among, weight in rows:
            chosen = z[row] if among is None else z[row][among]
            loss = loss + TERM_WEIGHTS[term] * weight / sums[term] * (chosen.logsumexp(0) - chosen[target])
        loss.backward()
        total += float(loss)
    return total


def mix64(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xbf58476d1ce4e5b9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94d049bb133111eb)
    return z ^ (z >> np.uint64(31))


def signs(stream, n):
    """The top bits of brew_rand_u64(0, stream, 0..n)."""
    gold = np.uint64(0x9e3779b97f4a7c15)
    with np.errstate(over="ignore"):
        key = mix64(np.array([gold])) ^ mix64(~np.array([stream], dtype=np.uint64))
        bits = mix64(mix64(key + (np.arange(n, dtype=np.uint64) + np.uint64(1)) * gold) ^ key)
    return np.where(bits >> np.uint64(63), -1.0, 1.0)


def summary(gradient):
    flat = gradient.double().numpy().ravel()
    sums = [float(flat @ signs(p, len(flat))) for p in range(PROJECTIONS)]
    return [float(f"{x:.8g}") for x in [np.linalg.norm(flat)] + sums]


def load(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    return model.eval()


def gradients(folder, requests, objective):
    model = load(folder)
    loss = accumulate(model, requests[:GRADIENT_REQUESTS], objective)
    return dict(loss=loss, tensors={n: summary(p.grad) for n, p in sorted(model.named_parameters())})


def trajectory(folder, requests, objective):
    model = load(folder)
    parameters = list(model.parameters())
    groups = [dict(params=[p for p in parameters if p.dim() > 1], weight_decay=RECIPE["decay"]),
              dict(params=[p for p in parameters if p.dim() == 1], weight_decay=0.0)]
    adamw = torch.optim.AdamW(groups, lr=1.0, betas=RECIPE["betas"], eps=RECIPE["eps"])
    losses, norms = [], []
    for step in range(1, STEPS + 1):
        share = (step / WARMUP if step <= WARMUP
                 else 0.5 * (1 + math.cos(math.pi * (step - WARMUP - 1) / (STEPS - WARMUP))))
        for group in adamw.param_groups:
            group["lr"] = RECIPE["lr"] * share
        batch = [requests[((step - 1) * BATCH + j) % len(requests)] for j in range(BATCH)]
        adamw.zero_grad()
        losses.append(accumulate(model, batch, objective))
        norms.append(float(torch.nn.utils.clip_grad_norm_(parameters, RECIPE["clip"])))
        adamw.step()
    return dict(losses=losses, norms=norms)


def main():
    models = sys.argv[1] if len(sys.argv) > 1 else "testdata/models"
    out = sys.argv[2] if len(sys.argv) > 2 else "testdata/train"
    torch.set_num_threads(1)
    requests = make_requests()
    with open(os.path.join(out, "requests.json"), "w") as file:
        recipe = dict(RECIPE, steps=STEPS, batch=BATCH, warmup=WARMUP, gradient_requests=GRADIENT_REQUESTS)
        file.write(f'{{"recipe":{json.dumps(recipe)},\n"sets":{json.dumps(SETS)},\n"requests":[\n')
        file.write(",\n".join(json.dumps(r, separators=(",", ":")) for r in requests) + "\n]}\n")
    for name in MODELS:
        folder = os.path.join(models, name)
        golden = dict(
            gradients={o: gradients(folder, requests, o) for o in ["items", "history", "vocab", "lm"]},
            trajectories={o: trajectory(folder, requests, o) for o in ["items", "history", "lm"]})
        with open(os.path.join(out, name + ".json"), "w") as file:
            json.dump(golden, file, separators=(",", ":"))
            file.write("\n")
        for o, t in golden["trajectories"].items():
            print(f"{name} {o}: loss {t['losses'][0]:.4f} .. {t['losses'][-1]:.4f}, "
                  f"norm {t['norms'][0]:.3f} .. {t['norms'][-1]:.3f}")


if __name__ == "__main__":
    main()
