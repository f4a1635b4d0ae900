#!/usr/bin/env python3
"""What transformers makes of many-shot prompts with SmolLM2-135M-Instruct, dequantised to float32.

    python3 scripts/peers/smollm2_goldens.py MODEL.gguf ML_LATEST_SMALL_DIR [testdata/models/smollm2.golden.json]

Prompts are MovieLens ratings written as answered questions ("Heat (1995): Yes"), the last ones asked.
Token ids are written out, so that the test needs no tokenizer. As in model_goldens.py every item runs
alone, query + item as one plain sequence, in float32 with eager attention.
"""
import csv
import hashlib
import json
import os
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from model_goldens import golden_request

# member, past events shown, questions
PROMPTS = [(1, 0, 3), (42, 5, 4), (7, 30, 6), (19, 60, 4)]


def main():
    gguf, data = sys.argv[1:3]
    target = sys.argv[3] if len(sys.argv) > 3 else "testdata/models/smollm2.golden.json"
    torch.set_num_threads(2)
    folder, file = os.path.split(gguf)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32,
                                                 attn_implementation="eager").eval()
    encode = lambda text: tokenizer(text, add_special_tokens=False).input_ids
    with open(os.path.join(data, "movies.csv"), newline="") as rows:
        titles = {r["movieId"]: r["title"] for r in csv.DictReader(rows)}
    ratings = {}
    with open(os.path.join(data, "ratings.csv"), newline="") as rows:
        for r in csv.DictReader(rows):
            ratings.setdefault(int(r["userId"]), []).append(
                (int(r["timestamp"]), titles[r["movieId"]], float(r["rating"]) >= 4))
    labels = [encode(" Yes"), encode(" No")]
    assert all(len(ids) == 1 for ids in labels)
    labels = [ids[0] for ids in labels]
    requests = []
    for member, shown, asked in PROMPTS:
        events = sorted(ratings[member])[:shown + asked]
        query = "Does this member like the movie?\n"
        answered = []
        for _, title, liked in events[:shown]:
            query += title + ":"
            answered.append(len(encode(query)) - 1)
            query += (" Yes" if liked else " No") + "\n"
        ids = encode(query)
        items = [encode(title + ":") for _, title, _ in events[shown:]]
        requests.append(golden_request(model, ids, items, answered[::10], labels))
        print(f"member {member}: query {len(ids)} tokens, items {[len(i) for i in items]}")
    with open(gguf, "rb") as model_file:
        digest = hashlib.sha256(model_file.read()).hexdigest()
    with open(target, "w") as out:
        out.write(f'{{"sha256":"{digest}","requests":[\n')
        out.write(",\n".join(json.dumps(r, separators=(",", ":")) for r in requests))
        out.write("\n]}\n")
    print(model.config)


if __name__ == "__main__":
    main()
