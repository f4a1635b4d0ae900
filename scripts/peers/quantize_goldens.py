#!/usr/bin/env python3
"""What transformers makes of the directories that brew-quantize writes.

    python3 scripts/peers/quantize_goldens.py [testdata/quantize] [build/bin]

Draws requests.jsonl (prompt records of token ids) and, for each case, lets brew-quantize write a directory,
loads it in transformers with compressed-tensors, which rounds activations on the CPU as that library defines it,
and runs query + item as one plain sequence. golden.jsonl has a line for each case: the arguments, and the
probabilities of each item's labels among themselves. cmd/brew-quantize.t writes the same directories and compares
brew-score's probabilities.
"""
import json
import os
import random
import subprocess
import sys
import tempfile

import torch
from transformers import AutoModelForCausalLM

CASES = [  # model, arguments: tied heads, biases, windows, groups left in BF16, heads of other types
    ("qwen3", ["--scheme", "fp8"]),
    ("llama-tied", ["--scheme", "fp8"]),
    ("mistral", ["--scheme", "int8"]),
    ("qwen2", ["--scheme", "fp8", "--keep", "kl:0.01"]),
    ("qwen3", ["--scheme", "fp8", "--head", "bf16"]),
    ("qwen2", ["--scheme", "bf16", "--head", "f32"]),
]
IDS = 67  # all of the models have as many


def draw_requests(path):
    draw = random.Random(7)
    ids = lambda n: [draw.randrange(IDS) for _ in range(n)]
    with open(path, "w") as out:
        for query, items in [(30, [3, 1, 8]), (5, [1, 2]), (60, [12, 4, 4, 20]), (0, [9, 2])]:
            record = dict(query_ids=ids(query), items_ids=[ids(n) for n in items],
                          label_ids=draw.sample(range(IDS), 3), targets=[draw.randrange(3) for _ in items])
            out.write(json.dumps(record, separators=(",", ":")) + "\n")


def probabilities(model, record):
    with torch.no_grad():
        rows = [model(torch.tensor([record["query_ids"] + item])).logits[0, -1].double()
                for item in record["items_ids"]]
    return [row[record["label_ids"]].softmax(0).tolist() for row in rows]


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "testdata/quantize"
    tool = os.path.join(sys.argv[2] if len(sys.argv) > 2 else "build/bin", "brew-quantize")
    requests = os.path.join(folder, "requests.jsonl")
    draw_requests(requests)
    records = [json.loads(line) for line in open(requests)]
    with open(os.path.join(folder, "golden.jsonl"), "w") as out, tempfile.TemporaryDirectory() as work:
        for i, (name, arguments) in enumerate(CASES):
            path = os.path.join(work, str(i))
            calibration = [requests] if "--keep" in arguments else []
            subprocess.run([tool, "--precision", "f32", "-m", f"testdata/models/{name}", "-o", path,
                            *arguments, *calibration], check=True)
            model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32,
                                                         attn_implementation="eager").eval()
            scores = [probabilities(model, record) for record in records]
            out.write(json.dumps(dict(model=name, arguments=" ".join(arguments), scores=scores),
                                 separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
