#!/usr/bin/env python3
"""Checks the prompts of testdata/world/world.task.json against the truth of the world that wrote the logs.

usage: world.py DIR RECORDS.jsonl      DIR has what jobs-world wrote; RECORDS are of all splits

Only the standard library, and no task file: what the task says is written down here a second time. What
was done is taken from truth.csv, not from the rows of the logs; they only tell when an item was shown.
Every query, question, target and split is predicted, and compared as a whole.
"""
import csv
import datetime
import json
import os
import sys

WINDOW = 3 * 86400
SHOWN, TEST = 30, 0.3
FILES = {"jobs": ("jobs.csv", "job"), "feed": ("posts.csv", "post"), "ads": ("ads.csv", "ad")}
LABELS = {"jobs": ["applied", "viewed", "dismissed", "ignored"]}
LABELS["feed"] = LABELS["ads"] = ["viewed", "dismissed", "ignored"]


def table(path, key):
    with open(path, encoding="utf-8", newline="") as f:
        return {row[key]: row for row in csv.DictReader(f)}


def seconds(text):
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


def line(surface, item):
    if surface == "jobs":
        what = "{level} {title}, {place}; {skills}; pay {salary}:".format(**item)
        return "Job: " + what, "Applies as " + what
    return "{} on {topic}: {text}:".format({"feed": "Post", "ads": "Ad"}[surface], **item), None


def impressions(folder):
    shown, until = {}, 0
    for surface in FILES:
        with open(os.path.join(folder, surface + "-log.csv"), encoding="utf-8", newline="") as f:
            for row in csv.DictReader(f):
                until = max(until, seconds(row["time"]))
                if row["action"] == "shown":
                    shown[row["request"], row["item"]] = seconds(row["time"])
    with open(os.path.join(folder, "truth.csv"), encoding="utf-8", newline="") as f:
        for row in csv.DictReader(f):
            row["time"] = shown.pop((row["request"], row["item"]))
            if row["time"] + WINDOW <= until:
                yield row
    assert not shown, "shown, and not in truth.csv"


def predict(folder):
    items = {s: table(os.path.join(folder, f), key) for s, (f, key) in FILES.items()}
    members = table(os.path.join(folder, "members.csv"), "member")
    events = sorted(impressions(folder),
                    key=lambda e: (e["time"], list(FILES).index(e["surface"]), e["request"], e["item"]))
    test_from = events[len(events) - int(len(events) * TEST)]["time"]
    requests = {}
    for e in events:
        requests.setdefault(e["request"], []).append(e)
    for name, slate in requests.items():
        now, surface = slate[0]["time"], slate[0]["surface"]
        past = [e for e in events if e["member"] == slate[0]["member"] and e["time"] + WINDOW < now]
        query = ["What a member did with what was shown:",
                 "{level} {title} in {place}, {skills}; would move: {moves}".format(
                     **members[slate[0]["member"]])]
        query += [line(e["surface"], items[e["surface"]][e["item"]])[0] + " " + e["action"]
                  for e in past[-SHOWN:]]
        query.append("Opened {} of {}, applied to {}.".format(
            sum(e["action"] in ("viewed", "applied") for e in past), len(past),
            sum(e["action"] == "applied" for e in past)))
        asked = []
        for e in slate:
            what, apply = line(surface, items[surface][e["item"]])
            asked.append((e["item"], what, LABELS[surface].index(e["action"])))
            if apply:
                asked.append((e["item"], apply, int(e["action"] != "applied")))
        yield name, ("\n".join(query) + "\n", asked, "test" if now >= test_from else "train",
                     len(past), surface)


def main():
    folder, path = sys.argv[1:]
    want, wrong, answers = dict(predict(folder)), 0, 0
    with open(path, encoding="utf-8") as f:
        for text in f:
            r = json.loads(text)
            asked = list(zip(r["item_ids"], r["items"], r["targets"]))
            got = (r["query"], asked, r["meta"]["split"], r["meta"]["history"], r["meta"]["surface"])
            answers += len(asked)
            if want.pop(r["meta"]["request"], None) != got:
                wrong += 1
                print("differs:", r["id"])
    print(f"{answers} answers; {wrong} records differ, {len(want)} are missing")
    sys.exit(1 if wrong or want else 0)


main()
