#!/usr/bin/env python3
"""Whether a gateway minds how much is stored: start-up time, memory, and how long the upstream
waits for its first message, with ten million events waiting and with one.

    tests/bench/backlog.py [--build build-release] [--events N] [--rounds N] [--assert] ...

Times run from the start of the process: until the listener accepts, and until the first PUBLISH has
come to an upstream that never acknowledges. Memory: VmRSS when the listener accepts, and VmHWM some
seconds later, with the window full. "cold": the kernel has forgotten the database. Medians of the
rounds, which alternate. Promised: ratios of at most 1.5, memory of at most 12 MiB.
"""
import argparse
import json
import os
import selectors
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import device_events  # noqa: E402
from sluicetest import gateway as gateways  # noqa: E402

EVENTS, PER_COMMIT = 10_000_000, 1000
SIZES = (130, 340)  # of the corpus, so that payloads are 200 bytes on average
RATIO_MAX, MEMORY_MAX_KIB = 1.5, 12 * 1024
SETTLE_S, START_S = 3, 60
CONNECT, PUBLISH, SUBSCRIBE = 1, 3, 8


class Upstream:
    """Accepts an MQTT client, notes when its first PUBLISH comes, and acknowledges nothing."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.first = None
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ, None)
            while True:
                for key, _ in selector.select():
                    if key.data is None:
                        connection = self.listener.accept()[0]
                        selector.register(connection, selectors.EVENT_READ, bytearray())
                    elif not self.serve(key.fileobj, key.data):
                        selector.unregister(key.fileobj)
                        key.fileobj.close()

    def serve(self, connection, buffer):
        try:
            data = connection.recv(65536)
        except OSError:
            data = b""
        now = time.monotonic()
        buffer += data
        while (packet := self.take(buffer)) is not None:
            kind, body = packet
            if kind == PUBLISH and self.first is None:
                self.first = now
            elif kind == CONNECT:
                five = body[6] == 5
                connection.sendall(b"\x20\x03\x00\x00\x00" if five else b"\x20\x02\x00\x00")
            elif kind == SUBSCRIBE:
                connection.sendall(b"\x90\x04" + body[:2] + b"\x00\x00")
        return bool(data)

    @staticmethod
    def take(buffer):
        length, shift, at = 0, 0, 1
        while True:
            if len(buffer) <= at:
                return None
            length |= (buffer[at] & 127) << shift
            shift += 7
            at += 1
            if not buffer[at - 1] & 128:
                break
        if len(buffer) < at + length:
            return None
        packet = buffer[0] >> 4, bytes(buffer[at:at + length])
        del buffer[:at + length]
        return packet


def memory_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file)
    return {name: int(fields[name].split()[0]) for name in ("VmRSS", "VmHWM")}


def forget(folder):
    """The kernel drops what it holds of the files."""
    for path in folder.iterdir():
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


class Backlog:
    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.upstream = Upstream()

    def fill(self, name, commits, per_commit):
        events = self.folder / "events"
        said = device_events.write(events, 20000, sizes=SIZES)
        data = self.folder / name
        data.mkdir(mode=0o700)
        begin = time.monotonic()
        out = subprocess.run([self.arguments.store_bench, "fill", events, data, str(commits),
                              str(per_commit)], stdout=subprocess.PIPE, check=True, text=True)
        filled = json.loads(out.stdout)
        print(f"{name}: {filled['events']:,.0f} events, {filled['stored_bytes'] / 2**20:,.0f} MiB "
              f"stored in {time.monotonic() - begin:.0f} s; {said}", flush=True)
        return data

    def start(self, data, cold):
        gateway = gateways.Gateway(self.folder, binary=self.arguments.sluice)
        gateway.config["gateway"]["id"] = "bench"
        gateway.config["gateway"]["data_dir"] = str(data)
        gateway.config["streams"] = {"events": {"max_bytes": "512GiB", "max_age": "0"}}
        gateway.config["upstreams"] = [gateway.upstream(self.upstream.port, start="oldest")]
        if cold:
            forget(data)
        self.upstream.first = None
        begin = time.monotonic()
        gateway.launch()
        try:
            listening = self.wait_listening(gateway, begin)
            at_start = memory_kib(gateway.process.pid)["VmRSS"]
            while self.upstream.first is None and time.monotonic() < begin + START_S:
                time.sleep(0.0005)
            first = self.upstream.first
            time.sleep(SETTLE_S)
            later = memory_kib(gateway.process.pid)
        finally:
            gateway.stop()
        return {"listening_ms": (listening - begin) * 1e3, "first_ms": (first - begin) * 1e3,
                "rss_start_kib": at_start, "rss_kib": later["VmRSS"], "hwm_kib": later["VmHWM"]}

    @staticmethod
    def wait_listening(gateway, begin):
        while time.monotonic() < begin + START_S:
            with socket.socket() as probe:
                # Lingering for no time: no connection is left behind that occupies anything.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if probe.connect_ex(("127.0.0.1", gateway.port)) == 0:
                    return time.monotonic()
            time.sleep(0.0005)
        raise SystemExit(f"the gateway does not listen:\n{gateway.process.tail()}")

    def measure(self):
        count = max(1, self.arguments.events // PER_COMMIT)
        stores = {"one event": self.fill("one", 1, 1),
                  "backlog": self.fill("many", count, PER_COMMIT)}
        result = {}
        for state in ("warm", "cold"):
            runs = {name: [] for name in stores}
            for data in stores.values():
                self.start(data, False)  # the first start makes the cursor
            for _ in range(self.arguments.rounds):
                for name, data in stores.items():
                    runs[name].append(self.start(data, state == "cold"))
            for name, of in runs.items():
                result[f"{name}, {state}"] = {key: statistics.median(run[key] for run in of)
                                              for key in of[0]}
        return result


def report(result):
    print("\n| | listening ms | first PUBLISH ms | RSS at start KiB | RSS later KiB | peak KiB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, row in result.items():
        print(f"| {name} | {row['listening_ms']:.1f} | {row['first_ms']:.1f} | "
              f"{row['rss_start_kib']:,.0f} | {row['rss_kib']:,.0f} | {row['hwm_kib']:,.0f} |")
    kept = True
    for state in ("warm", "cold"):
        many, one = result[f"backlog, {state}"], result[f"one event, {state}"]
        ratios = [many[key] / one[key] for key in ("listening_ms", "first_ms")]
        good = max(ratios) <= RATIO_MAX and many["hwm_kib"] <= MEMORY_MAX_KIB
        kept = kept and good
        print(f"\n{state}: start-up {ratios[0]:.2f}x, first message {ratios[1]:.2f}x (at most "
              f"{RATIO_MAX}), peak {many['hwm_kib'] / 1024:.1f} MiB (at most "
              f"{MEMORY_MAX_KIB // 1024}): {'kept' if good else 'BROKEN'}")
    return kept


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    top = Path(__file__).resolve().parents[2]
    parser.add_argument("--build", default=str(top / "build-release"), help="a release build")
    parser.add_argument("--sluice", help="default: BUILD/src/sluice")
    parser.add_argument("--store-bench", help="default: BUILD/tests/bench/store_bench")
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", help="directory on the disk to be measured (default: $TMPDIR)")
    parser.add_argument("--assert", action="store_true", dest="asserted")
    parser.add_argument("--json", help="file for the numbers")
    arguments = parser.parse_args()
    arguments.sluice = os.path.abspath(arguments.sluice or arguments.build + "/src/sluice")
    arguments.store_bench = os.path.abspath(
        arguments.store_bench or arguments.build + "/tests/bench/store_bench")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="sluice-backlog-", dir=arguments.work))
    try:
        result = Backlog(arguments, folder).measure()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    kept = report(result)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(result, indent=1), encoding="utf-8")
    return 0 if kept or not arguments.asserted else 1


if __name__ == "__main__":
    sys.exit(main())
