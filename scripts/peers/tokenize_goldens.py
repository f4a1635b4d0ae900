#!/usr/bin/env python3
"""Makes testdata/tokenize/records.jsonl and records.ids.jsonl: prompts, and their ids by Hugging Face tokenizers.

The ids follow the rules of brew-formats(5), by the reference's own means: each piece is encoded by itself, special
tokens in prompts are plain text (the reference tokenizer gets no added tokens), those of a plain text are special. A
past answer is kept if a token of exactly its label begins at its offset.

usage: python scripts/peers/tokenize_goldens.py      (from the project's root; tokenizers 0.23)
"""
import csv
import json
import random

from tokenizers import Tokenizer

MODEL = "testdata/models/tiny/tokenizer.json"
OUT = "testdata/tokenize/records"


def load_plain():
    spec = json.load(open(MODEL, encoding="utf-8"))
    spec["added_tokens"] = []
    return Tokenizer.from_str(json.dumps(spec))


def make_records():
    rng = random.Random(3)
    with open("testdata/ml-latest-small/movies.csv", encoding="utf-8", newline="") as f:
        titles = [row["title"] for row in csv.DictReader(f)]
    labels = [" Yes", " No"]
    odd = ["<|endoftext|> (2001)", "Amélie 漢字 (2001)", "tab\there", "  two  spaces ", "\U0001f600 (1999)"]
    for i in range(40):
        query, answered, lines = "Did they like it?\n", [], []
        for title in rng.sample(titles, rng.randrange(8)) + rng.sample(odd, i % 3):
            label = rng.randrange(2)
            lines.append(len(query.encode()))
            answered.append([len((query + title + ":").encode()), label])
            query += title + ":" + labels[label] + "\n"
        if i % 5 == 4 and answered:
            answered[0][0] += 1  # inside " Yes": no token begins there
        items = [t + ":" for t in rng.sample(titles, 1 + rng.randrange(4)) + rng.sample(odd, i % 2)]
        yield {"id": "r%d" % i, "query": query, "items": items, "label_tokens": labels,
               "answered": answered, "lines": lines, "targets": [rng.randrange(-1, 2) for _ in items]}
    for title in titles[:20] + odd:
        yield {"text": title + "<|im_start|> x", "n": len(title)}


def add_ids(record, special, plain):
    if "text" in record:
        return dict(record, ids=special.encode(record["text"], add_special_tokens=False).ids)
    encode = lambda text: plain.encode(text, add_special_tokens=False).ids
    query = plain.encode(record["query"], add_special_tokens=False)
    starts = {}  # byte offset -> index; the reference counts characters
    for index, (begin, end) in enumerate(query.offsets):
        starts.setdefault(len(record["query"][:begin].encode()), index)
    label_ids = [encode(label)[0] for label in record["label_tokens"]]
    answered = [[starts[at], label] for at, label in record["answered"]
                if at in starts and query.ids[starts[at]] == label_ids[label]]
    lines = [starts[at] for at in record["lines"] if at in starts]
    return dict(record, answered=answered, lines=lines, query_ids=query.ids,
                items_ids=[encode(item) for item in record["items"]], label_ids=label_ids)


def main():
    special, plain = Tokenizer.from_file(MODEL), load_plain()
    dump = lambda o: json.dumps(o, ensure_ascii=False, separators=(",", ":")) + "\n"
    with open(OUT + ".jsonl", "w", encoding="utf-8") as texts, \
            open(OUT + ".ids.jsonl", "w", encoding="utf-8") as ids:
        for record in make_records():
            texts.write(dump(record))
            ids.write(dump(add_ids(record, special, plain)))


main()
