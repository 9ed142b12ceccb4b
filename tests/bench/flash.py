#!/usr/bin/env python3
"""What reaches the flash when few events come: a real gateway, a real upstream connected, and a
publisher at a fixed rate, on a file system of their own on a loop device, whose statistics count
everything, the journal included (which /proc/PID/io does not see).

    tests/bench/flash.py [--build build-release] [--rates N,...] [--delays MS,...] [--trace] ...

Needs root for losetup, mkfs.ext4 and mount; without it, or without one of them, it says
"not measured" and ends with 77. What it mounts it takes away again, however it ends.

Promised per commit of events: at most 1.6 x 4096 bytes and 2.2 x the compressed bytes reach the
device, and at most 1.05 syncs. --assert makes that the exit code.

Before each measurement the log is filled once, so that it has the size it keeps, and a checkpoint
awaited. Where the time measured has several checkpoints in it, all that reached the device is
counted; where it has none, what the next one will copy is added: the pages by which the database
has grown; a row with a few of them has a question mark. --trace runs the gateway under strace,
which counts its calls by file, and says which pages the commits wrote.
"""
import argparse
import collections
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
sys.dont_write_bytecode = True

import log_pages  # noqa: E402
from sluicetest import gateway as gateways, wait  # noqa: E402
from sluicetest.brokers import Mosquitto  # noqa: E402

SECONDS = {1: 40, 10: 30, 100: 15, 1000: 20}
DELAYS = (0, 100, 1000)
BLOCK_BYTES, BLOCKS_PER_COMMIT, STORED_SHARE, SYNCS_PER_COMMIT = 4096, 1.6, 2.2, 1.05
DEVICE_BYTES = 768 << 20
NEEDED = ("losetup", "mkfs.ext4", "mount", "umount", "mosquitto")
SKIPPED = 77
WARM_COMMITS = 5000  # more than the log holds at one page each
CHECKPOINTS_ENOUGH = 6  # the checkpointer's and the writer's own are counted apart
SYSCALLS = "fsync,fdatasync,sync_file_range,pwrite64,ftruncate,fallocate,unlink,rename"
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def call(*argv):
    return subprocess.run([str(part) for part in argv], check=True, stdout=subprocess.PIPE,
                          text=True, env=dict(os.environ, PATH=PATH)).stdout.strip()


class Disk:
    """An ext4 file system on a loop device of its own, mounted below folder."""

    def __init__(self, folder):
        self.image, self.mount = folder / "disk.img", folder / "mnt"
        self.device, self.mounted = None, False
        self.mount.mkdir()
        try:
            with open(self.image, "wb") as image:
                os.posix_fallocate(image.fileno(), 0, DEVICE_BYTES)
            self.device = call("losetup", "--find", "--show", self.image)
            call("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.device)
            call("mount", self.device, self.mount)
            self.mounted = True
        except BaseException:
            self.close()
            raise

    def close(self):
        if self.mounted:
            call("umount", self.mount)
            self.mounted = False
        if self.device:
            call("losetup", "--detach", self.device)
            self.device = None
        self.image.unlink(missing_ok=True)

    def settle(self):
        """Nothing that came before is written later."""
        subprocess.run(["sync", "-f", str(self.mount)], check=True)

    def counters(self):
        """Bytes and write requests that reached the device, flushes among them apart."""
        name = os.path.basename(self.device)
        with open(f"/sys/block/{name}/stat", encoding="ascii") as file:
            fields = [int(field) for field in file.read().split()]
        return {"bytes": fields[6] * 512, "writes": fields[4],
                "flushes": fields[15] if len(fields) > 15 else 0}


def difference(after, before):
    return {key: after[key] - before[key] for key in after}


class Flash:
    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.disk = Disk(folder)
        self.broker = Mosquitto(folder)
        self.broker.start()
        self.gateway = None

    def close(self):
        if self.gateway and self.gateway.process.running():
            self.gateway.kill()
        self.broker.kill()
        self.disk.close()

    def start(self, delay_ms):
        data = self.disk.mount / f"delay-{delay_ms}-{time.monotonic_ns()}"
        self.trace_path = self.folder / "trace"
        self.gateway = gateways.Gateway(
            self.folder, upstream=self.broker.port, binary=self.arguments.sluice,
            config={"commit": {"max_delay": f"{delay_ms}ms"}})
        self.gateway.config["gateway"]["data_dir"] = str(data)
        self.gateway.data_dir = data
        prefix = ()
        if self.arguments.trace:
            prefix = ("strace", "-f", "--seccomp-bpf", "-y", "-qq", "-o", self.trace_path,
                      "-e", "trace=" + SYSCALLS)
        self.gateway.start(prefix=prefix)
        self.gateway.wait_metric(lambda m: m.get("sluice_upstream_connected") == 1, 20,
                                 "the upstream to be connected")

    def load(self, rate, count, devices=1):
        with tempfile.TemporaryDirectory(prefix="sluice-flash-", dir="/dev/shm") as ledger:
            paced = ["--rate", rate] if rate else []
            # Nobody waits for acknowledgements, however late they come.
            window = min(60000, 2 * rate + 100) if rate else 1
            said = call(self.arguments.load, "--port", self.gateway.port, "--ledger",
                        ledger + "/ledger", "--devices", devices, "--window", window,
                        "--payload", self.arguments.payload, "--count", count, *paced)
        said = json.loads(said.splitlines()[-1])
        assert said["acknowledged"] == count, said

    def counters(self):
        metrics = self.gateway.metrics()
        commits = metrics.get("sluice_store_commits_total")
        return {**self.disk.counters(), "commits": commits,
                "cursor_commits": metrics.get("sluice_store_cursor_commits_total"),
                "checkpoints": metrics.get("sluice_store_checkpoints_total"),
                "used": metrics.get("sluice_store_used_bytes"),
                "stored": metrics.get("sluice_stream_bytes", stream="events") - 64 * commits,
                "repacked": metrics.get("sluice_stream_repacked_batches_total", stream="events"),
                "raw": metrics.get("sluice_stream_appended_bytes_total", stream="events")}

    def traced(self):
        return self.trace_path.stat().st_size if self.arguments.trace else 0

    def warm(self):
        """Fills the log once: the gateway keeps its size from then on."""
        self.load(0, WARM_COMMITS)
        self.gateway.wait_forwarded(60)

    def checkpoint(self):
        """Until the log has been copied and starts over."""
        before = self.gateway.metric("sluice_store_checkpoints_total")
        for _ in range(100):
            self.load(20000, 2000, devices=8)
            if self.gateway.metric("sluice_store_checkpoints_total") > before:
                break
        self.gateway.wait_forwarded(60)
        time.sleep(1)
        self.disk.settle()

    def measure(self, rate, delay_ms):
        self.start(delay_ms)
        self.load(20000, 100000, devices=8)
        self.checkpoint()
        before, mark, begin = self.counters(), self.traced(), time.monotonic()
        self.load(rate, rate * self.arguments.seconds[rate])
        row = difference(self.counters(), before)
        if row["repacked"]:  # takes less by now than was committed; of small commits this is exact
            row["stored"] = row["raw"]
        row.update(rate=rate, delay_ms=delay_ms, seconds=time.monotonic() - begin,
                   events=rate * self.arguments.seconds[rate])
        if self.arguments.trace:
            row["calls"] = self.trace(mark)
        self.gateway.kill() if not self.arguments.trace else self.kill_traced()
        if self.arguments.trace:
            log_pages.report(str(self.gateway.data_dir / "sluice.db"))
        shutil.rmtree(self.gateway.data_dir)
        return row

    def kill_traced(self):
        """strace goes with what it traces."""
        pid = self.gateway.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        for child in children.read_text(encoding="ascii").split():
            os.kill(int(child), signal.SIGKILL)
        self.gateway.process.wait(20)

    def trace(self, mark):
        """{file: {call: [count, bytes]}} since mark."""
        found = collections.defaultdict(lambda: collections.defaultdict(lambda: [0, 0]))
        with open(self.trace_path, encoding="utf-8", errors="replace") as file:
            file.seek(mark)
            for line in file:
                match = re.search(r"(\w+)\(\d+<([^>]*)>.*= (\d+)", line)
                if match and match[2].startswith(str(self.disk.mount)):
                    one = found[os.path.basename(match[2])][match[1]]
                    one[0] += 1
                    one[1] += int(match[3])
        return found

    def idle(self):
        """What an idle gateway writes."""
        self.start(0)
        self.warm()
        wait.until(lambda: self.gateway.metric("sluice_store_cursor_commits_total") > 0, 30,
                   "the last acknowledgements to be committed")
        self.disk.settle()
        before = self.counters()
        time.sleep(self.arguments.idle_seconds)
        row = difference(self.counters(), before)
        row["seconds"] = self.arguments.idle_seconds
        self.kill_traced() if self.arguments.trace else self.gateway.kill()
        shutil.rmtree(self.gateway.data_dir)
        return row


def verdict(row):
    """Bytes per commit, the bound, syncs per commit, kept or not."""
    commits = row["commits"]
    owed = row["used"] if row["checkpoints"] == 0 else 0
    used = (row["bytes"] + owed) / commits
    bound = BLOCKS_PER_COMMIT * BLOCK_BYTES + STORED_SHARE * row["stored"] / commits
    syncs = None
    if "calls" in row:
        syncs = sum(calls[name][0] for calls in row["calls"].values()
                    for name in ("fsync", "fdatasync") if name in calls) / commits
    return used, bound, syncs, used <= bound and (syncs is None or syncs <= SYNCS_PER_COMMIT)


def doubt(row):
    """A single checkpoint weighs on too few commits, or what it copied was written before."""
    return "" if row["checkpoints"] == 0 or row["checkpoints"] >= CHECKPOINTS_ENOUGH else "?"


def report(rows, idle):
    print(f"\nAn idle gateway with its upstream connected: {idle['bytes'] / idle['seconds']:,.0f} "
          f"bytes/s reach the device, {idle['flushes'] / idle['seconds']:.2f} flushes/s.\n")
    head = ["events/s", "max_delay ms", "commits", "events/commit", "stored bytes/commit",
            "device bytes/commit", "of it owed", "bound", "x 4096", "device bytes/event",
            "writes/commit",
            "flushes/commit", "syncs/commit", "cursor commits", "checkpoints", "re-packed", ""]
    print("| " + " | ".join(head) + " |")
    print("|" + " ---: |" * len(head))
    for row in rows:
        commits = row["commits"]
        used, bound, syncs, kept = verdict(row)
        print(f"| {row['rate']} | {row['delay_ms']} | {commits:.0f} | "
              f"{row['events'] / commits:.1f} | {row['stored'] / commits:,.0f} | {used:,.0f} | "
              f"{used - row['bytes'] / commits:,.0f} | {bound:,.0f} | {used / BLOCK_BYTES:.2f} | "
              f"{used * commits / row['events']:,.0f} | "
              f"{row['writes'] / commits:.2f} | {row['flushes'] / commits:.2f} | "
              f"{'-' if syncs is None else f'{syncs:.2f}'} | {row['cursor_commits']:.0f} | "
              f"{row['checkpoints']:.0f} | {row['repacked']:.0f} | "
              f"{'kept' if kept else 'OVER'}{doubt(row)} |")
    for row in rows:
        if "calls" in row:
            print(f"\n{row['rate']}/s, {row['delay_ms']} ms, calls per commit of events:")
            for file, calls in sorted(row["calls"].items()):
                print(f"  {file}: " + ", ".join(
                    f"{name} {count / row['commits']:.3f}" +
                    (f" ({size / row['commits']:,.0f} bytes)" if size else "")
                    for name, (count, size) in sorted(calls.items())))


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser.add_argument("--build", default=os.path.join(top, "build-release"))
    parser.add_argument("--sluice", help="default: BUILD/src/sluice")
    parser.add_argument("--load", help="default: BUILD/tests/integration/load")
    parser.add_argument("--rates", default=",".join(map(str, SECONDS)))
    parser.add_argument("--delays", default=",".join(map(str, DELAYS)), help="ms")
    parser.add_argument("--payload", type=int, default=200, help="bytes")
    parser.add_argument("--short", type=float, default=1, help="divide the times by this")
    parser.add_argument("--work", help="directory for the file of the loop device")
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--assert", action="store_true", dest="asserted")
    parser.add_argument("--json", help="file for the numbers")
    arguments = parser.parse_args()
    arguments.sluice = os.path.abspath(arguments.sluice or
                                       os.path.join(arguments.build, "src/sluice"))
    arguments.load = os.path.abspath(arguments.load or
                                     os.path.join(arguments.build, "tests/integration/load"))
    arguments.rates = [int(rate) for rate in arguments.rates.split(",")]
    arguments.delays = [int(delay) for delay in arguments.delays.split(",")]
    if not set(arguments.rates) <= set(SECONDS):
        parser.error(f"rates are out of {sorted(SECONDS)}")
    arguments.seconds = {rate: max(2, int(s / arguments.short)) for rate, s in SECONDS.items()}
    arguments.idle_seconds = max(5, int(30 / arguments.short))
    return arguments


def main():
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    missing = [name for name in NEEDED + (("strace",) if arguments.trace else ())
               if not shutil.which(name, path=PATH)]
    if os.geteuid() or missing or not os.path.exists("/dev/loop-control"):
        print("not measured: needs root, /dev/loop-control, " + ", ".join(NEEDED))
        return SKIPPED
    rows = []
    with tempfile.TemporaryDirectory(prefix="sluice-flash-", dir=arguments.work) as folder:
        flash = Flash(arguments, Path(folder))
        try:
            idle = flash.idle()
            for rate in arguments.rates:
                for delay_ms in arguments.delays:
                    rows.append(flash.measure(rate, delay_ms))
                    print(f"# {rate}/s, {delay_ms} ms: {verdict(rows[-1])}", file=sys.stderr,
                          flush=True)
        finally:
            flash.close()
    report(rows, idle)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"idle": idle, "rows": rows}, file, indent=1)
    return 0 if all(verdict(row)[3] for row in rows) or not arguments.asserted else 1


if __name__ == "__main__":
    sys.exit(main())
