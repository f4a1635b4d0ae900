"""Tokenising: brew_tokenizer_encode beside tokenizers 0.23, one after the other in each round, ratio first.

usage: tokenizer.py PROGRAM TEXT TOKENIZER.json[.xz] ROUNDS    (scripts/bench/tokenizer.sh builds the program)

Both run on one thread and are timed by CPU time: ours on the whole text from a cold start and again, the
peer on its first 2 million characters. The ids of what both encode must be equal.
"""
import lzma
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
import tokenizers  # noqa: E402 (after the environment it reads)

program, path, model, rounds = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
with (lzma.open if model.endswith(".xz") else open)(model, "rb") as source:
    begin = time.process_time()
    peer = tokenizers.Tokenizer.from_buffer(source.read())
    peer_loading = time.process_time() - begin
with open(path, encoding="utf-8", newline="") as source:
    text = source.read()
size = os.path.getsize(path)
cold, warm, loading, other = [], [], [], []
with tempfile.TemporaryDirectory() as folder:
    for turn in range(rounds):
        out = subprocess.run([program, model, path, f"{folder}/ids"], check=True,
                             capture_output=True, text=True).stdout.split()
        for values, word in zip((loading, cold, warm), out):
            values.append(float(word))
        part = text[:2_000_000]  # the peer is slow: a tenth of it in each round
        begin = time.process_time()
        want = peer.encode(part, add_special_tokens=False).ids
        other.append((time.process_time() - begin) / len(part.encode()))
    got = np.fromfile(f"{folder}/ids", np.int32)
agree = np.array_equal(got[:len(want) - 8], want[:-8])


def speed(times, best):
    seconds = min(times) if best else statistics.median(times)
    return size / seconds / 1e6


theirs = 1e-6 / min(other)
print(f"{speed(cold, True) / theirs:.0f} times tokenizers {tokenizers.__version__} from a cold start: "
      f"{speed(cold, True):.0f} MB/s (median {speed(cold, False):.0f}), warm {speed(warm, True):.0f} "
      f"(median {speed(warm, False):.0f}); tokenizers {theirs:.2f} (median "
      f"{1e-6 / statistics.median(other):.2f})   [{size / 1e6:.1f} MB, {len(got):,} ids]")
print(f"loading {min(loading):.3f} s, tokenizers {peer_loading:.3f} s; "
      f"ids of the part both encode are {'equal' if agree else 'NOT EQUAL'}")
sys.exit(0 if agree else 1)
