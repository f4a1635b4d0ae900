#!/usr/bin/env python3
"""A step of training, Brew beside PyTorch, in one run, taking turns; ratios first, best and median of the rounds.

    train.py TRAIN MODEL_HF_DIR [ROUNDS]

TRAIN is scripts/bench/train.c compiled. A step is one star of 460 query tokens and 16 items of 20, read at
each item's end over two labels: forward, backward, clipping, AdamW (moments in F32). PyTorch computes the
same star under a dense mask (scaled dot-product attention), the head at the 16 rows only, in float32 and
under autocast to bfloat16; every program runs in a process of its own. Then N questions behind one query
against N prompts, with the ratio of the operations they need.
"""
import json
import os
import platform
import statistics
import subprocess
import sys
import time

THREADS = int(os.environ.get("BENCH_THREADS") or len(os.sched_getaffinity(0)))
QUERY, ITEMS, LENGTH = 460, 16, 20
TOKENS = QUERY + ITEMS * LENGTH


class Program:
    """One that answers lines with lines of JSON."""

    def __init__(self, arguments):
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, query=QUERY, items=ITEMS, length=LENGTH, requests=1):
        self.process.stdin.write(f"{query} {items} {length} {requests}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def peak_bytes():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))


def peer(path, precision):
    """The other side of Program: PyTorch."""
    import torch
    from transformers import AutoModelForCausalLM
    torch.set_num_threads(THREADS)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="sdpa")
    adamw = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01)
    for line in sys.stdin:
        query, items, length, requests = map(int, line.split())
        n = query + items * length
        part = torch.tensor([0] * query + [i + 1 for i in range(items) for _ in range(length)])
        position = torch.tensor(list(range(query)) + [query + i for _ in range(items) for i in range(length)])
        row = torch.arange(n)
        seen = (row[None] <= row[:, None]) & ((part[None] == 0) | (part[None] == part[:, None]))
        mask = torch.where(seen, 0.0, torch.finfo(torch.float32).min)[None, None]
        ends = query + length * (torch.arange(items) + 1) - 1
        start, cpu = time.perf_counter(), time.process_time()
        for _ in range(requests):
            ids = torch.randint(model.config.vocab_size, (1, n))
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                hidden = model.model(ids, attention_mask=mask, position_ids=position[None], use_cache=False)[0]
                logits = hidden[0, ends].float() @ model.lm_head.weight[[1, 2]].T
            loss = torch.nn.functional.cross_entropy(logits.float(), torch.arange(items) % 2) / requests
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adamw.step()
        adamw.zero_grad()
        print(json.dumps(dict(seconds=time.perf_counter() - start, cpu=time.process_time() - cpu,
                              bytes=peak_bytes(), version=torch.__version__)), flush=True)


def operations(query, items, length):
    """Multiplications and additions of a step: products of a token, and pairs of a row and a key it sees."""
    tokens = query + items * length
    pairs = query * (query + 1) / 2 + items * (length * query + length * (length + 1) / 2)
    return 3 * 205.7e6 * tokens + 3.5 * 30 * 2304 * pairs


def describe(times, amount):
    wall = [t["seconds"] for t in times]
    return f"{amount / min(wall):.0f} (median {amount / statistics.median(wall):.0f})"


def compare(program, hf, precision, rounds):
    brew = Program([program, hf, precision, str(THREADS)])
    torch = Program([sys.executable, __file__, "--peer", hf, precision])
    ours, theirs = [], []
    brew.run(), torch.run()  # the first step touches all memory
    for _ in range(rounds):
        ours.append(brew.run())
        theirs.append(torch.run())
    torch.close()
    best = min(ours, key=lambda t: t["seconds"])
    cpu, their_cpu = min(t["cpu"] for t in ours), min(t["cpu"] for t in theirs)
    print(f"{min(t['seconds'] for t in theirs) / best['seconds']:6.2f} x PyTorch {theirs[0]['version']}: {precision}: "
          f"{describe(ours, TOKENS)} against {describe(theirs, TOKENS)} tokens/s (processor seconds "
          f"{cpu:.2f}, {their_cpu:.2f}: {their_cpu / cpu:.2f} x); resident {ours[-1]['bytes'] / 1e9:.2f} "
          f"(planned {ours[-1]['planned'] / 1e9:.2f}), {theirs[-1]['bytes'] / 1e9:.2f} GB")
    print(f"       of Brew's {best['seconds']:.2f} s: forward {best['forward']:.2f}, backward {best['backward']:.2f}, "
          f"norm and AdamW {best['update']:.2f}", flush=True)
    return brew


def questions(brew, rounds):
    for items in (4, 16):
        star = [brew.run(QUERY, items) for _ in range(rounds)]
        prompts = [brew.run(QUERY, 1, requests=items) for _ in range(max(1, rounds // 2))]
        # in processor time, which other work on the machine hardly moves; AdamW is one for all
        passes = lambda times: min(t["cpu"] - t["cpu_update"] for t in times)
        ratio = passes(prompts) / passes(star)
        needed = items * operations(QUERY, 1, LENGTH) / operations(QUERY, items, LENGTH)
        print(f"{ratio:6.2f} x {items} prompts' time for {items} questions behind one query; their operations: "
              f"{needed:.2f} x ({ratio / needed - 1:+.0%})", flush=True)


def main():
    program, hf = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    print(f"{platform.machine()}, {THREADS} threads, load {os.getloadavg()[0]:.1f}: one star of {QUERY} tokens and "
          f"{ITEMS} items of {LENGTH} a step")
    for precision in ("f32", "bf16"):
        brew = compare(program, hf, precision, rounds)
        questions(brew, rounds)
        brew.close()


if __name__ == "__main__":
    if sys.argv[1] == "--peer":
        peer(*sys.argv[2:])
    else:
        main()
