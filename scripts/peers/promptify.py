#!/usr/bin/env python3
"""Checks brew-promptify's records against an independent, slow and obvious reading of the task.

usage: promptify.py TASK.json RECORDS.jsonl      all splits, task's own files and limits

Only the standard library. Nothing is shared with the C code: each record is predicted from all events
by looking at every pair, and compared key by key. Order of members is not compared.
"""
import csv
import datetime
import json
import os
import re
import sys

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def rows(path):
    kind = path.rsplit(".", 1)[1]
    with open(path, encoding="utf-8", newline="") as f:
        if kind == "jsonl":
            yield from (json.loads(line) for line in f if line.strip("\n"))
        else:
            yield from csv.DictReader(f, delimiter="\t" if kind == "tsv" else ",")


def ms(text, unit):
    if unit == "ms":
        return int(text)
    if unit == "iso8601":
        t = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        if t.tzinfo is None:
            t = t.replace(tzinfo=datetime.timezone.utc)
        return round(t.timestamp() * 1000)
    return round(float(text) * 1000)


def action_of(task, value):
    for i, a in enumerate(task["actions"]):
        if "values" in a:
            if value in [str(v) for v in a["values"]]:
                return i
        elif "min" in a or "below" in a:
            if a.get("min", -1e308) <= float(value) < a.get("below", 1e309):
                return i
        else:
            return i
    raise ValueError("no action")


def fill(template, values):
    def put(m):
        if m.group(0) in ("{{", "}}"):
            return m.group(0)[0]
        return CONTROL.sub(" ", str(values.get(m.group(1)) or "")).strip(" ")
    return re.sub(r"\{\{|\}\}|\{([^{}]+)\}", put, template)


def seconds(t):
    return t // 1000 if t % 1000 == 0 else t / 1000


def load(path):
    with open(path, encoding="utf-8") as f:
        task = json.load(f)
    here = os.path.dirname(path) or "."
    e = task["events"]
    strongest = {}
    for r in rows(os.path.join(here, e["file"])):
        key = (r[e["member"]], ms(r[e["time"]], e.get("time_unit", "s")), r[e["item"]])
        a = action_of(task, r[e["value"]] if "value" in e else "")
        strongest[key] = min(a, strongest.get(key, a))
    members = {}
    for (m, t, i), a in strongest.items():
        members.setdefault(m, []).append((t, i.encode(), a))
    tables = {}
    for name in ("members", "items"):
        if name in task:
            tables[name] = {r[task[name]["id"]]: r
                            for r in rows(os.path.join(here, task[name]["file"]))}
    return task, {m: sorted(v) for m, v in members.items()}, tables


def split_of(task, members):
    """A function of (member's events, position): the split's name."""
    s = task.get("split")
    if not s:
        return lambda events, k: "train"
    if s["by"] == "last":
        def by_last(events, k):
            n = len(events)
            test = max(1, int(n * s["test"] + 1e-9 * (n + 1)))
            valid = 0
            if s.get("valid", 0) > 0:
                valid = min(n - test, max(1, int(n * s["valid"] + 1e-9 * (n + 1))))
            return "test" if k >= n - test else "valid" if k >= n - test - valid else "train"
        return by_last
    unit = task["events"].get("time_unit", "s")
    def boundary(key):
        v = s[key]
        return ms(v, "iso8601") if isinstance(v, str) else ms(v, unit)
    if "valid_from" in s or "test_from" in s:
        test = boundary("test_from") if "test_from" in s else float("inf")
        valid = boundary("valid_from") if "valid_from" in s else test
    else:
        times = sorted(t for events in members.values() for t, _, _ in events) + [float("inf")]
        n = len(times) - 1
        k = n - int(n * s.get("test", 0) + 1e-9 * (n + 1))
        test = times[k]
        valid = times[k - int(n * s.get("valid", 0) + 1e-9 * (n + 1))]
    def by_time(events, k):
        t = events[k][0]
        return "test" if t >= test else "valid" if t >= valid else "train"
    return by_time


def train_stretches(events, n, shown, asked, once):
    """(first question, number of questions, first event not yet learned from)."""
    start = 0
    while start < n:
        q = start
        if once:
            asks = asked if start else min(asked, (n + 1) // 2)
            q = max(start, min(start + shown, n - asks))
            while q > start and events[q - 1][0] == events[q][0]:
                q -= 1
        yield q, min(asked, n - q), start
        start = q + min(asked, n - q)


def records(task, members, tables):
    shown = task.get("history", {}).get("max", 30)
    asked = task.get("questions", {}).get("max", 10)
    once = task.get("questions", {}).get("train", "once") == "once"
    last = task.get("split", {}).get("by") == "last"
    until_split = task.get("history", {}).get("until", "split" if last else "question") == "split"
    split = split_of(task, members)
    item_times = {}
    for events in members.values():
        for t, i, _ in events:
            item_times.setdefault(i, []).append(t)
    t = task["templates"]
    labels = [a["label"] for a in task["actions"]]
    positive = task.get("positive", [task["actions"][0]["name"]])
    for m, events in members.items():
        names = [split(events, k) for k in range(len(events))]
        plan = [("train",) + x for x in
                train_stretches(events, names.count("train"), shown, asked, once)]
        for name in ("valid", "test"):
            first = names.index(name) if name in names else 0
            plan += [(name, q, min(asked, first + names.count(name) - q), None)
                     for q in range(first, first + names.count(name), asked)]
        profile = {"member": m, **tables.get("members", {}).get(m, {})}
        head = "".join(s if s.endswith("\n") else s + "\n" for s in
                       (fill(t[k], profile) for k in
                        ("instruction", "note", "profile", "heading") if t.get(k)))
        def words(template, event):
            item = event[1].decode()
            return fill(template, {"item": item, "member": m,
                                   **{"member." + k: v for k, v in profile.items()},
                                   **tables.get("items", {}).get(item, {})})
        for number, (name, q, n, fresh) in enumerate(plan, 1):
            past = [k for k in range(len(events)) if events[k][0] < events[q][0]]
            seen = [k for k in past if not (until_split and name != "train" and names[k] == name)]
            query, lines, answered = head, [], []
            seen = seen[len(seen) - min(shown, len(seen)):]
            for k in seen:
                lines.append(len(query.encode()))
                query += words(t.get("line", t["question"]), events[k])
                if once and name == "train" and k >= fresh:
                    answered.append([len(query.encode()), events[k][2]])
                query += labels[events[k][2]] + "\n"
            ask = events[q:q + n]
            record = {
                "id": "%s/%s/%d" % (task["task"], m, number), "query": query,
                "items": [words(t["question"], x) for x in ask],
                "label_tokens": labels,
                "positive": [k for k, a in enumerate(task["actions"]) if a["name"] in positive],
                "item_ids": [x[1].decode() for x in ask], "targets": [x[2] for x in ask],
                "item_meta": {"position": list(range(1, n + 1)),
                              "item_history": [sum(u < x[0] for u in item_times[x[1]])
                                               for x in ask],
                              "time": [seconds(x[0]) for x in ask]},
                "lines": lines,
                "meta": {"task": task["task"], "member": m, "time": seconds(events[q][0]),
                         "history": len(past), "shown": len(seen), "split": name}}
            if answered:
                record["answered"] = answered
            yield record


def main():
    task, members, tables = load(sys.argv[1])
    want = {r["id"]: r for r in records(task, members, tables)}
    got = {}
    with open(sys.argv[2], encoding="utf-8") as f:
        for line in f:
            r = json.loads(line)
            assert r["id"] not in got, "an id twice"
            got[r["id"]] = r
    wrong = [i for i in sorted(set(want) | set(got)) if want.get(i) != got.get(i)]
    print("%d records, %d differ" % (len(want), len(wrong)))
    for i in wrong[:3]:
        print(json.dumps(want.get(i)), json.dumps(got.get(i)), sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
