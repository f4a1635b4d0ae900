"""Times brew-promptify on copies of ml-latest-small. usage: promptify.py BREW-PROMPTIFY ROWS FOLDER COPIES ROUNDS

movies: the rows in CSV, the titles from a table. The peer is a script that reads the rows, sorts them by
member and time and writes records like these, which are given to it, as JSON: what any script has to do
besides making them.

short lines: the rows in JSONL, questions that are the item's id. The peers only read the rows: jq, jansson
(ROWS, which scripts/bench/promptify.sh builds) and Python's json, a line at a time.

Figures are bytes read and written by second of processor time (of all threads, with the kernel's), and by
second of the clock; the best of all rounds, in which everything takes its turn.
"""
import csv
import io
import json
import os
import resource
import subprocess
import sys
import time

program, reader, folder = sys.argv[1:4]
copies, rounds = int(sys.argv[4]), int(sys.argv[5])
home = os.path.abspath("testdata")
output = os.path.join(folder, "prompts.jsonl")
paths = {kind: os.path.abspath(os.path.join(folder, "ratings-%d.%s" % (copies, kind))) for kind in ("csv", "jsonl")}


def write_rows():
    with open(home + "/ml-latest-small/ratings.csv") as f:
        head, *rows = f.read().splitlines()
    with open(paths["csv"], "w") as table, open(paths["jsonl"], "w") as lines:
        table.write(head + "\n")
        for copy in range(copies):
            for row in rows:
                member, item, rating, when = row.split(",")
                member = int(member) + 1000 * copy
                table.write("%d,%s,%s,%s\n" % (member, item, rating, when))
                lines.write('{"userId":"%d","movieId":"%s","rating":%s,"timestamp":%s}\n' % (member, item, rating, when))


def write_task(kind):
    with open(home + "/movies.task.json") as f:
        task = json.load(f)
    task["events"]["file"] = paths[kind]
    if kind == "csv":
        task["items"]["file"] = home + "/ml-latest-small/movies.csv"
    else:
        del task["items"]
        task["templates"] = {"question": "{item}:"}
    path = os.path.join(folder, "bench.task.json")
    with open(path, "w") as f:
        json.dump(task, f)
    return path


def processor():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


class Best:
    """The least processor and clock time of what was done with so many bytes."""

    def __init__(self):
        self.cpu = self.clock = float("inf")

    def time(self, work):
        cpu, clock = processor(), time.perf_counter()
        self.size = work()
        self.cpu = min(self.cpu, processor() - cpu)
        self.clock = min(self.clock, time.perf_counter() - clock)

    def rate(self):
        return self.size / self.cpu / 1e6


def promptify(kind, task, threads):
    def work():
        with open(output, "wb") as f:
            subprocess.run([program, "-q", "-j", str(threads), "-t", task], stdout=f, check=True)
        return os.path.getsize(paths[kind]) + os.path.getsize(output)
    return work


def least(lines):
    """A tenth of the rows and records: the script is slow."""
    some = lines[:len(lines) // 10]
    records = [json.loads(line) for line in some]

    def work():
        with open(paths["csv"], newline="") as f:
            rows = [(r["userId"], float(r["timestamp"]), r["movieId"], float(r["rating"]))
                    for _, r in zip(range(100836 * copies // 10), csv.DictReader(f))]
        rows.sort()
        out = io.StringIO()
        for record in records:
            out.write(json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n")
        return sum(map(len, some)) + os.path.getsize(paths["csv"]) // 10
    return work


def reads(command):
    def work():
        subprocess.run(command + [paths["jsonl"]], stdout=subprocess.DEVNULL, check=True)
        return os.path.getsize(paths["jsonl"])
    return work


def python_reads():
    with open(paths["jsonl"]) as f:
        for line in f:
            json.loads(line)
    return os.path.getsize(paths["jsonl"])


def report(name, ours, peers, reading=None):
    first = max(peers, key=lambda peer: peers[peer].rate())
    print("%s: %.1f times %s by processor time" % (name, ours[1].rate() / peers[first].rate(), first))
    for threads, best in ours.items():
        print("  %d thread%s  %.2f s of processor, %.2f s of clock: %.0f and %.0f MB/s of %.0f MB" %
              (threads, "s" if threads > 1 else " ", best.cpu, best.clock, best.rate(), best.size / best.clock / 1e6, best.size / 1e6))
    for peer, best in peers.items():
        print("  %-9s  %.2f s of processor: %.0f MB/s" % (peer, best.cpu, best.rate()))
    if reading:
        print("  brew_table reads these rows at %.0f MB/s" % reading.rate())


write_rows()
ours, script = {1: Best(), 2: Best()}, Best()
for _ in range(rounds):
    for threads, best in ours.items():
        best.time(promptify("csv", write_task("csv"), threads))
    with open(output, "rb") as f:
        work = least(f.read().splitlines())
    script.time(work)
report("movies", ours, {"a script": script})

ours, reading = {1: Best(), 2: Best()}, Best()
peers = {"jq": Best(), "jansson": Best(), "Python": Best()}
for _ in range(rounds):
    for threads, best in ours.items():
        best.time(promptify("jsonl", write_task("jsonl"), threads))
    peers["jq"].time(reads(["jq", "empty"]))
    peers["jansson"].time(reads([reader, "jansson"]))
    peers["Python"].time(python_reads)
    reading.time(reads([reader, "brew"]))
report("short lines", ours, peers, reading)
for path in (output, *paths.values()):
    os.remove(path)
