#!/usr/bin/env python3
"""Brew and its peers on one model, in one run, taking turns; ratios first, best and median of the rounds.

    score.py FORWARD MODEL.gguf MODEL_HF_DIR [ROUNDS]

FORWARD is scripts/bench/forward.c compiled; both paths hold the same weights (GGUF, and bf16 safetensors).
Peers: PyTorch through transformers (bf16, its own cache of the prefix copied for each batch of items), and
llama.cpp through llama-cpp-python where that is installed. The long case, 500 items of 60 tokens behind a
query of 2,048, is run whole by Brew; a peer runs the query and PEER_ITEMS items, and its time for 500 is
computed from these: query + items x 500 / PEER_ITEMS.
"""
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time

import torch
import transformers
from transformers import AutoModelForCausalLM, DynamicCache

PEER_ITEMS, PEER_BATCH = 32, 8
THREADS = int(os.environ.get("BENCH_THREADS") or len(os.sched_getaffinity(0)))


class Watch:
    """Wall and processor seconds since it was made, as a pair."""

    def __init__(self):
        self.start = time.perf_counter(), time.process_time()

    def read(self):
        return time.perf_counter() - self.start[0], time.process_time() - self.start[1]


def extrapolate(prefix, some, items):
    return tuple(p + s * items / PEER_ITEMS for p, s in zip(prefix, some))


class Brew:
    def __init__(self, program, model, precision="bf16", level=None):
        arguments = [program, model, precision, str(THREADS)] + ([level] if level else [])
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ready = json.loads(self.process.stdout.readline())
        self.bytes = self.ready["bytes"]

    def run(self, query, items=0, length=0):
        self.process.stdin.write(f"{query} {items} {length}\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        self.bytes = answer["bytes"]
        return answer["seconds"], answer["cpu"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Torch:
    name = "PyTorch"

    def __init__(self, path):
        torch.set_num_threads(THREADS)
        start = time.perf_counter()
        self.model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16).eval()
        self.ready = time.perf_counter() - start
        self.vocab = self.model.config.vocab_size

    def ids(self, *shape):
        return torch.randint(self.vocab, shape)

    @torch.inference_mode()
    def run(self, query, items=0, length=0):
        watch = Watch()
        cache = DynamicCache()
        self.model(self.ids(1, query), past_key_values=cache, logits_to_keep=1)
        prefix = watch.read()
        if not items:
            return prefix
        done, watch = 0, Watch()
        while done < PEER_ITEMS:
            copy = DynamicCache()
            for i, layer in enumerate(cache.layers):
                copy.update(layer.keys.expand(PEER_BATCH, -1, -1, -1),
                            layer.values.expand(PEER_BATCH, -1, -1, -1), i)
            self.model(self.ids(PEER_BATCH, length), past_key_values=copy, logits_to_keep=1)
            done += PEER_BATCH
        return extrapolate(prefix, watch.read(), items)


class LlamaCpp:
    name = "llama.cpp"

    def __init__(self, path):
        import llama_cpp
        start = time.perf_counter()
        self.llama = llama_cpp.Llama(path, n_ctx=4096, n_batch=2048, n_threads=THREADS,
                                     n_threads_batch=THREADS, verbose=False, logits_all=False)
        self.ready = time.perf_counter() - start

    def ids(self, n):
        return torch.randint(1000, 40000, (n,)).tolist()

    def run(self, query, items=0, length=0):
        watch = Watch()
        self.llama.reset()
        self.llama.eval(self.ids(query))
        prefix = watch.read()
        if not items:
            return prefix
        watch = Watch()
        for _ in range(PEER_ITEMS):
            self.llama.n_tokens = query  # eval forgets what stands behind it
            self.llama.eval(self.ids(length))
        return extrapolate(prefix, watch.read(), items)


CASES = [("prefill 512", (512,), 512, "tokens/s"), ("prefill 2,048", (2048,), 2048, "tokens/s"),
         ("500 items x 60 tokens on 2,048", (2048, 500, 60), 500, "items/s")]


def peers(gguf, hf):
    found = [Torch(hf)]
    try:
        found.append(LlamaCpp(gguf))
    except ImportError:
        print("llama-cpp-python is not installed: PyTorch is the only peer")
    return found


def report(name, amount, unit, ours, theirs):
    """Wall time, best and median; and the best processor time, which other work on the machine hardly moves."""
    wall, cpu = zip(*ours)
    for peer, times in theirs.items():
        peer_wall, peer_cpu = zip(*times)
        print(f"{min(peer_wall) / min(wall):6.2f} x {peer}: {name}: {amount / min(wall):.1f} against "
              f"{amount / min(peer_wall):.1f} {unit} (medians {amount / statistics.median(wall):.1f}, "
              f"{amount / statistics.median(peer_wall):.1f}; processor seconds {min(cpu):.2f}, "
              f"{min(peer_cpu):.2f})", flush=True)


def main():
    program, gguf, hf = sys.argv[1:4]
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 3
    facts = dict(line.split(":", 1) for line in open("/proc/cpuinfo").read().split("\n\n")[0].split("\n")
                 if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    cpu = f"{facts.get('model name', platform.machine())} (family {facts.get('cpu family', '?')})"
    others = peers(gguf, hf)
    ready = {"bf16 safetensors": [], "GGUF": []}
    for _ in range(rounds):
        for kind, path in (("bf16 safetensors", hf), ("GGUF", gguf)):
            brew = Brew(program, path)
            ready[kind].append(brew.ready["seconds"])
            brew.close()
    brew = Brew(program, hf)
    print(f"{cpu}, {THREADS} threads, load {os.getloadavg()[0]:.1f}; Brew {brew.ready['level']}, bf16; "
          f"torch {torch.__version__}, transformers {transformers.__version__}")
    for name, shape, amount, unit in CASES:
        ours, theirs = [], {peer.name: [] for peer in others}
        for _ in range(rounds):
            ours.append(brew.run(*shape))
            for peer in others:
                theirs[peer.name].append(peer.run(*shape))
        report(name, amount, unit, ours, theirs)
    for kind, times in ready.items():
        print(f"ready to score from {kind}: {min(times):.2f} s (median {statistics.median(times):.2f}; "
              + ", ".join(f"{peer.name} {peer.ready:.2f}" for peer in others) + ")")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"resident: Brew {brew.bytes / 1e9:.2f} GB; the peers' process {own / 1e9:.2f} GB")
    brew.close()


if __name__ == "__main__":
    main()
