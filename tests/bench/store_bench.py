#!/usr/bin/env python3
"""What the store costs beside bare SQLite, side by side in one run.

    tests/bench/store_bench.py [--build build-release] [--part NAME,...] [--assert] ...

Parts:
    append   1000 events a commit; the same commits of the same blobs by bare SQLite, alone
             ("bare"), with compression within the measured time ("bare+zstd"), and packing too
    latency  how long commits take and events wait, with checkpoints by the store's own thread
             ("background"), by the writer between commits ("inline"), and without any
    bytes    bytes written per payload byte at 10,000 events/s
    read     sequential reading, against a SELECT of the same blobs
    trim     evicting everything, against a DELETE of the same rows

Contenders take turns; numbers are medians of the rounds. CPU is that of all threads. Nothing
here fails because the machine is slow, unless --assert asks for the ratios of append and bytes.
"""
import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

import device_events

APPENDERS = ["bare", "store", "bare+zstd", "bare+pack+zstd"]
PER_COMMIT = 1000
CEILING_SHARE = 0.8          # of the events/s of bare SQLite
WRITTEN_PER_PAYLOAD = 0.6
BYTES_RATE = 10000
EVENTS = 20000               # different ones


class Bench:
    def __init__(self, arguments, directory):
        self.arguments, self.directory = arguments, directory
        self.events = os.path.join(directory, "events")
        self.said = device_events.write(self.events, EVENTS, verbatim=arguments.verbatim)

    def run(self, mode, *numbers):
        """One run in a fresh directory: the lines it printed."""
        place = tempfile.mkdtemp(prefix="run-", dir=self.directory)
        try:
            done = subprocess.run(
                [self.arguments.store_bench, mode, self.events, place, *map(str, numbers)],
                stdout=subprocess.PIPE, text=True, check=True)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def note(self, *words):
        print("#", *words, file=sys.stderr, flush=True)

    def alternate(self, mode, contenders, *numbers):
        """Every contender in every round; {contender: [line, ...]}."""
        runs = {name: [] for name in contenders}
        for repetition in range(self.arguments.rounds):
            for name in contenders:
                runs[name] += self.run(mode, name, *numbers)
            self.note(mode, f"round {repetition + 1}/{self.arguments.rounds}")
        return runs

    def append(self):
        runs = self.alternate("append", APPENDERS, self.arguments.commits, PER_COMMIT)
        result = {name: medians(of) for name, of in runs.items()}
        same = {row["stored_bytes"] for row in result.values()}
        assert len(same) == 1, f"contenders stored different bytes: {same}"
        result["ratios"] = {
            what: statistics.median(
                bare[what] / store[what] for bare, store in zip(runs["bare"], runs["store"]))
            for what in ("wall_us", "cpu_us")}
        return result

    def latency(self):
        return [self.run("paced", checkpoints, rate, self.arguments.seconds, 0)[0]
                for rate in self.arguments.rates
                for checkpoints in ("none", "background", "inline")]

    def bytes(self):
        return [self.run("paced", "background", BYTES_RATE, self.arguments.seconds, delay)[0]
                for delay in self.arguments.delays]

    def read(self):
        lines = self.run("read", self.arguments.commits, PER_COMMIT, self.arguments.rounds)
        return {name: medians([line for line in lines if line["contender"] == name])
                for name in ("bare", "store", "store, events")}

    def trim(self):
        runs = self.alternate("trim", ["bare", "store"], self.arguments.commits, PER_COMMIT)
        rows = {}
        for line in runs["bare"] + runs["store"]:
            rows.setdefault(f"{line['contender']}, {line['phase']}", []).append(line)
        return {name: medians(of) for name, of in rows.items()}


def medians(runs):
    return {key: statistics.median(run[key] for run in runs)
            for key, value in runs[0].items() if not isinstance(value, str)}


def table(title, head, rows):
    print(f"\n{title}\n")
    print("| " + " | ".join(head) + " |")
    print("| " + " | ".join(["---"] + ["---:"] * (len(head) - 1)) + " |")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")


def report_append(result):
    bare = result["bare"]
    table(f"Durable append, {PER_COMMIT} events a commit, {bare['payload_bytes']:.0f} payload and "
          f"{bare['stored_bytes']:.0f} stored bytes per event:",
          ["", "wall us/event", "CPU us/event", "of it user", "bytes written/event",
           "events/s", "wall : bare", "CPU : bare"],
          [[name, f"{row['wall_us']:.3f}", f"{row['cpu_us']:.3f}", f"{row['user_us']:.3f}",
            f"{row['disk_bytes']:.0f}", f"{1e6 / row['wall_us']:,.0f}",
            f"{row['wall_us'] / bare['wall_us']:.2f}", f"{row['cpu_us'] / bare['cpu_us']:.2f}"]
           for name, row in result.items() if name != "ratios"])
    ratios, work = result["ratios"], result["bare+pack+zstd"]
    print(f"\nThe store reaches {ratios['wall_us']:.0%} of the events/s of bare SQLite by the "
          f"wall, {ratios['cpu_us']:.0%} by CPU (medians of the rounds; promised: "
          f"{CEILING_SHARE:.0%}). Of its CPU compression is "
          f"{share(result['bare+zstd'], bare, result['store']):.0%}, packing "
          f"{share(work, result['bare+zstd'], result['store']):.0%}, SQLite and the disk "
          f"{bare['cpu_us'] / result['store']['cpu_us']:.0%}, all else "
          f"{share(result['store'], work, result['store']):.0%}.")


def share(more, less, whole):
    return (more["cpu_us"] - less["cpu_us"]) / whole["cpu_us"]


def report_latency(rows):
    points = ("p50", "p99", "p999", "max")
    table("Commit latency at a fixed rate (open loop), microseconds; waiting is from the moment an "
          "event is due until it is durable:",
          ["events/s", "checkpoints", "commits", *(f"commit {p}" for p in points),
           *(f"waiting {p}" for p in points), "longest maintenance"],
          [[f"{row['rate']:,.0f}", row["checkpoints"], row["commits"],
            *(f"{row[f'{what}_{p}_us']:,.0f}" for what in ("commit", "wait") for p in points),
            f"{row['maintain_max_us']:,.0f}"] for row in rows])


def report_bytes(rows):
    table(f"Bytes written at {BYTES_RATE:,} events/s, checkpoints and the final one included "
          f"(promised: {WRITTEN_PER_PAYLOAD} per payload byte):",
          ["max_delay ms", "events/commit", "stored : payload", "written : payload",
           "without the final checkpoint", "commit p50 us"],
          [[f"{row['delay_ms']:.0f}", f"{row['events'] / row['commits']:.0f}",
            f"{row['stored_bytes'] / row['payload_bytes']:.2f}", f"{written(row):.2f}",
            f"{row['disk_bytes_open'] / row['payload_bytes']:.2f}", f"{row['commit_p50_us']:,.0f}"]
           for row in rows])


def written(row):
    return row["disk_bytes"] / row["payload_bytes"]


def report_read(rows):
    bare = rows["bare"]
    table("Sequential read (bytes: blobs as stored for bare, records for the store, payloads with "
          "events):", ["", "events/s", "MB/s", "CPU us/event", "CPU : bare"],
          [[name, f"{1e6 / row['wall_us']:,.0f}",
            f"{row['bytes'] / (row['events'] * row['wall_us']):,.0f}", f"{row['cpu_us']:.4f}",
            f"{row['cpu_us'] / bare['cpu_us']:.2f}"] for name, row in rows.items()])


def report_trim(rows):
    bare = rows["bare, all"]
    table("Trim (all: with checkpoints and the return of space to the file system):",
          ["", "events/s", "CPU us/event", "bytes of write calls/event", "CPU : bare, all"],
          [[name, f"{1e6 / row['wall_us']:,.0f}", f"{row['cpu_us']:.4f}",
            f"{row['written_bytes']:.2f}", f"{row['cpu_us'] / bare['cpu_us']:.2f}"]
           for name, row in rows.items()])


REPORTS = {"append": report_append, "latency": report_latency, "bytes": report_bytes,
           "read": report_read, "trim": report_trim}


def judge(result):
    """The ratios the project promises. Returns an exit code."""
    reached = max(result["append"]["ratios"].values())
    wrote = min(written(row) for row in result["bytes"])
    kept = reached >= CEILING_SHARE and wrote <= WRITTEN_PER_PAYLOAD
    print(f"\nDurable append {reached:.2f} of bare SQLite (at least {CEILING_SHARE}), {wrote:.2f} "
          f"bytes written per payload byte (at most {WRITTEN_PER_PAYLOAD}): "
          f"{'kept' if kept else 'BROKEN'}")
    return 0 if kept else 1


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser.add_argument("--build", default=os.path.join(top, "build-release"),
                        help="build directory with store_bench (a release build)")
    parser.add_argument("--store-bench", help="default: BUILD/tests/bench/store_bench")
    parser.add_argument("--part", default=",".join(REPORTS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--commits", type=int, default=500, help="of append, read and trim")
    parser.add_argument("--seconds", type=int, default=20, help="of latency and bytes, each")
    parser.add_argument("--rates", default="1000,20000", help="events/s of latency")
    parser.add_argument("--delays", default="0,10,100,1000", help="max_delay of bytes, ms")
    parser.add_argument("--verbatim", action="store_true",
                        help="the corpus as it is, over and over, instead of with other numbers")
    parser.add_argument("--work", help="directory on the disk to be measured (default: $TMPDIR)")
    parser.add_argument("--smoke", action="store_true", help="only that everything runs")
    parser.add_argument("--assert", action="store_true", dest="asserted",
                        help="exit code 1 if the promised ratios are missed")
    parser.add_argument("--json", help="file for the numbers")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.rounds, arguments.commits, arguments.seconds = 1, 20, 1
        arguments.delays = "10"
    arguments.store_bench = os.path.abspath(
        arguments.store_bench or os.path.join(arguments.build, "tests/bench/store_bench"))
    if not os.access(arguments.store_bench, os.X_OK):
        parser.error(f"{arguments.store_bench} is not there; build it first")
    arguments.part = arguments.part.split(",")
    arguments.rates = [int(rate) for rate in arguments.rates.split(",")]
    arguments.delays = [int(delay) for delay in arguments.delays.split(",")]
    if not set(arguments.part) <= set(REPORTS):
        parser.error(f"parts are out of {', '.join(REPORTS)}")
    if arguments.asserted and not {"append", "bytes"} <= set(arguments.part):
        parser.error("--assert needs append and bytes")
    return arguments


def main():
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="sluice-bench-", dir=arguments.work) as directory:
        bench = Bench(arguments, directory)
        print(bench.said)
        result = {}
        for part in arguments.part:
            result[part] = getattr(bench, part)()
            REPORTS[part](result[part])
            sys.stdout.flush()
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
    return judge(result) if arguments.asserted else 0


if __name__ == "__main__":
    sys.exit(main())
