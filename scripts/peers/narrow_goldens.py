#!/usr/bin/env python3
"""What transformers and tokenizers make of the directories that brew-prune --vocab and --hidden write.

    python3 scripts/peers/narrow_goldens.py [testdata/narrow] [build/bin]

Draws ids.jsonl (prompt records of token ids) and films.jsonl (records with texts), and texts.jsonl, texts some of whose
tokens go. For each case brew-prune writes a directory by one of the first two, transformers loads it and runs query
+ item as one plain sequence, and where there is a tokenizer AutoTokenizer encodes the texts. golden.jsonl has a line
for each case: model, arguments, requests, the probabilities of each item's labels among themselves, and the ids of
the texts. cmd/brew-prune-hidden.t writes the same directories and compares what brew-score and brew-tokenize say.
"""
import csv
import json
import os
import random
import subprocess
import sys
import tempfile

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

CASES = [  # families, biases, norms on q and k, windows, tied heads, GGUF; tokenizers of both kinds
    ("models/tiny", "--vocab", "films.jsonl"),
    ("models/tiny-spm", "--vocab", "films.jsonl"),
    ("models/tiny-spm", "--vocab --hidden 0.5 --layers 0", "films.jsonl"),
    ("models/qwen3", "--hidden 0.6", "ids.jsonl"),
    ("models/qwen3.gguf", "--hidden 0.8 --no-repair", "ids.jsonl"),
    ("models/qwen2", "--hidden 0.5 --layers 0", "ids.jsonl"),
    ("models/llama-bias", "--hidden 0.5 --no-repair", "ids.jsonl"),
    ("models/llama-scaled", "--hidden 0.75 --multiple 4", "ids.jsonl"),
    ("models/llama-tied", "--hidden 0.8", "ids.jsonl"),
    ("models/mistral", "--hidden 0.5 --layers 1", "ids.jsonl"),
]
IDS = 53  # all of the models have as many


def write_lines(path, records):
    with open(path, "w", encoding="utf-8") as out:
        for record in records:
            out.write(json.dumps(record, separators=(",", ":")) + "\n")


def draw_ids(draw):
    ids = lambda n: [draw.randrange(IDS) for _ in range(n)]
    for query, items in [(30, [3, 1, 8]), (5, [1, 2]), (60, [12, 4, 4, 20]), (0, [9, 2]), (90, [2, 2])]:
        yield dict(query_ids=ids(query), items_ids=[ids(n) for n in items],
                   label_ids=draw.sample(range(IDS), 3), targets=[draw.randrange(3) for _ in items])


def draw_films(draw):
    with open("testdata/ml-latest-small/movies.csv", encoding="utf-8", newline="") as f:
        titles = [row["title"] for row in csv.DictReader(f)]
    for seen, asked in [(12, 5), (3, 4), (20, 6)]:
        films = draw.sample(titles[:3000], seen + asked)
        query = "".join(f"{film}: {draw.choice(['Yes', 'No'])}\n" for film in films[:seen])
        yield dict(query=query, items=[film + ":" for film in films[seen:]], label_tokens=[" Yes", " No"],
                   targets=[draw.randrange(2) for _ in range(asked)])


def draw_texts(draw, films):
    words = [w for film in films for w in (film["query"] + " ".join(film["items"])).split()]
    yield from (dict(text=t) for t in ["", " ", "  \n", "naïve café 東京 🎬", "<s> </s> <|endoftext|>", "\u2581\u2581"])
    for _ in range(60):
        text = "".join(draw.choice(["", " ", " ", "  ", ", ", "\n"]) + draw.choice(words) for _ in range(draw.randrange(1, 12)))
        yield dict(text=text[draw.randrange(3):])


def probabilities(model, record):
    with torch.no_grad():
        rows = [model(torch.tensor([record["query_ids"] + item])).logits[0, -1].double()
                for item in record["items_ids"]]
    return [row[record["label_ids"]].softmax(0).tolist() for row in rows]


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "testdata/narrow"
    tools = sys.argv[2] if len(sys.argv) > 2 else "build/bin"
    os.makedirs(folder, exist_ok=True)
    draw = random.Random(11)
    films = list(draw_films(draw))
    texts = list(draw_texts(draw, films))
    write_lines(os.path.join(folder, "ids.jsonl"), draw_ids(draw))
    write_lines(os.path.join(folder, "films.jsonl"), films)
    write_lines(os.path.join(folder, "texts.jsonl"), texts)
    goldens = []
    with tempfile.TemporaryDirectory() as work:
        for i, (name, arguments, requests) in enumerate(CASES):
            path, requests_path = os.path.join(work, str(i)), os.path.join(folder, requests)
            subprocess.run([os.path.join(tools, "brew-prune"), "-q", "--precision", "f32", "-m", f"testdata/{name}",
                            "-o", path, *arguments.split(), requests_path], check=True)
            model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32,
                                                         attn_implementation="eager").eval()
            golden = dict(model=name, arguments=arguments, requests=requests)
            records = [json.loads(line) for line in open(requests_path)]
            if "query" in records[0]:
                tokenized = subprocess.run([os.path.join(tools, "brew-tokenize"), "-q", "--to", "jsonl", "-m", path,
                                            requests_path], check=True, capture_output=True, text=True).stdout
                records = [json.loads(line) for line in tokenized.splitlines()]
                tokenizer = AutoTokenizer.from_pretrained(path)
                golden["ids"] = [tokenizer.encode(t["text"], add_special_tokens=False) for t in texts]
            golden["scores"] = [probabilities(model, record) for record in records]
            goldens.append(golden)
    write_lines(os.path.join(folder, "golden.jsonl"), goldens)


if __name__ == "__main__":
    main()
