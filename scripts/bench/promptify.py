"""Times brew-promptify on copies of ml-latest-small. usage: promptify.py BREW-PROMPTIFY FOLDER COPIES ROUNDS

The peer is a script that reads the rows, sorts them by member and time and writes records like these, which
are given to it, as JSON: what any script has to do besides making them. Figures are bytes of input and output
by second of processor time (of all threads, with the kernel's), and by second of the clock; best of all rounds.
"""
import csv
import io
import json
import os
import resource
import subprocess
import sys
import time

program, folder, copies, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
home = os.path.abspath("testdata")
ratings = os.path.join(folder, "ratings-%d.csv" % copies)


def write_inputs():
    with open(home + "/ml-latest-small/ratings.csv") as f:
        head, *rows = f.read().splitlines()
    with open(ratings, "w") as f:
        f.write(head + "\n")
        for copy in range(copies):
            for row in rows:
                member, rest = row.split(",", 1)
                f.write("%d,%s\n" % (int(member) + 1000 * copy, rest))
    with open(home + "/movies.task.json") as f:
        task = json.load(f)
    task["events"]["file"] = os.path.abspath(ratings)
    task["items"]["file"] = home + "/ml-latest-small/movies.csv"
    yield "movies", task
    del task["items"]
    task["templates"] = {"question": "{item}:"}
    yield "short lines", task


def processor():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def timed(work):
    clock, cpu = time.perf_counter(), processor()
    result = work()
    return processor() - cpu, time.perf_counter() - clock, result


def least(lines):
    some = lines[:len(lines) // 10]
    records = [json.loads(line) for line in some]

    def work():
        with open(ratings, newline="") as f:
            rows = [(r["userId"], float(r["timestamp"]), r["movieId"], float(r["rating"]))
                    for _, r in zip(range(100836 * copies // 10), csv.DictReader(f))]
        rows.sort()
        out = io.StringIO()
        for record in records:
            out.write(json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n")
    size = sum(map(len, some)) + os.path.getsize(ratings) // 10
    return size, work


for name, task in write_inputs():
    path = os.path.join(folder, "bench.task.json")
    output = os.path.join(folder, "prompts.jsonl")
    with open(path, "w") as f:
        json.dump(task, f)
    best, peer = {}, None
    for _ in range(rounds):
        for threads in "1", "2":
            command = [program, "-q", "-j", threads, "-t", path]
            with open(output, "wb") as f:
                cpu, clock, _ = timed(lambda: subprocess.run(command, stdout=f, check=True))
            size = os.path.getsize(ratings) + os.path.getsize(output)
            old = best.get(threads, (0, 0))
            best[threads] = (max(old[0], size / cpu), max(old[1], size / clock))
        with open(output, "rb") as f:
            size, work = least(f.read().splitlines())
        peer = max(peer or 0, size / timed(work)[0])
    print("%s: %.1f times the peer by processor time; 1 thread %.0f MB/s of processor, 2 threads %.0f MB/s, "
          "%.0f MB/s of clock; peer %.0f MB/s" % (name, best["1"][0] / peer, best["1"][0] / 1e6,
                                                   best["2"][0] / 1e6, best["2"][1] / 1e6, peer / 1e6))
    os.remove(output)
os.remove(ratings)
