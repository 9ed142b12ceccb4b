#!/usr/bin/env python3
"""What durable ingest costs, side by side in one run.

    tests/bench/bench.py [--build build-release] [--quick] [--assert] [--json FILE] ...

Contenders, each in turn on the same machine and disk, sharing the cores with the load:

    sluice     every event in an SQLite commit that was synced before its PUBACK
    mosquitto  bridge to the upstream with a queue in memory: acknowledges, stores nothing
    limit      no MQTT: the same number of bytes appended and synced by the least program there is,
               connections x window events a commit (the most that can wait for one)

The upstream is away throughout (its port refuses), so everything acknowledged has to be kept.

Two parts. Ingest: QoS 1, connections x window as fast as PUBACKs come; acknowledged events per
second, CPU of the server per event (/proc/PID/stat), median and 99 % PUBACK latency; medians over
the repetitions. Writes: bytes written per event (/proc/PID/io) at fixed low rates; the journal of
the file system is not among them, nor is the final checkpoint.

Nothing here fails because the machine is slow, unless --assert asks for the ratios.
"""
import argparse
import json
import os
import pwd
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

GRID = ["100x100", "1x1", "10x20", "100x1"]
RATES = {1: 20, 10: 15, 1000: 10}  # events per second: seconds
WARM_UP_EVENTS = 50
READY_S = 20
STOP_S = 60
TICKS = os.sysconf("SC_CLK_TCK")

# --assert: the gateway against mosquitto, at this point of the grid.
ASSERTED = "100x100"
ACKED_AT_LEAST = 1.5
CPU_AT_MOST = 0.6


class Closed:
    """A loopback port that refuses connections and that nobody else can take meanwhile."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def close(self):
        self.socket.close()


def free_port():
    closed = Closed()
    closed.close()
    return closed.port


class Server:
    """One server process in a directory of its own."""

    def __init__(self, arguments, command, configuration):
        self.directory = tempfile.mkdtemp(prefix="sluice-bench-", dir=arguments.work)
        self.upstream = Closed()
        self.port = free_port()
        path = os.path.join(self.directory, "server.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(configuration(self))
        self.log = open(os.path.join(self.directory, "server.log"), "wb")
        self.process = subprocess.Popen([part.format(conf=path) for part in command],
                                        stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, cwd=self.directory)
        try:
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def wait_until_ready(self):
        deadline = time.monotonic() + READY_S
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        with open(self.log.name, encoding="utf-8", errors="replace") as log:
            raise SystemExit(f"{self.process.args[0]} is not ready:\n{log.read()[-2000:]}")

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def written_bytes(self):
        with open(f"/proc/{self.process.pid}/io", encoding="ascii") as file:
            for line in file:
                if line.startswith("write_bytes:"):
                    return int(line.split()[1])
        return 0

    def stop(self):
        """Ends it; with a queue of gigabytes to write out or free, by force."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        self.upstream.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def sluice_configuration(server):
    return json.dumps({
        "gateway": {"id": "bench", "data_dir": "data"},
        "listeners": [{"name": "lan", "bind": f"127.0.0.1:{server.port}", "anonymous": True}],
        "streams": {"events": {"max_bytes": "64GiB", "when_full": "block"}},
        "upstreams": [{"name": "away", "url": f"mqtt://127.0.0.1:{server.upstream.port}",
                       "streams": ["events"]}],
        "admin": {"socket": "sluice.sock"}})


def mosquitto_configuration(server):
    return f"""listener {server.port} 127.0.0.1
user {pwd.getpwuid(os.getuid()).pw_name}
allow_anonymous true
set_tcp_nodelay true
persistence false
max_queued_messages 0
max_inflight_messages 1000
log_type error
connection away
address 127.0.0.1:{server.upstream.port}
topic # out 1
cleansession false
notifications false
restart_timeout 1 2
"""


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.servers = {
            "sluice": ([arguments.sluice, "run", "-c", "{conf}"], sluice_configuration),
            "mosquitto": ([arguments.mosquitto, "-c", "{conf}"], mosquitto_configuration),
        }

    def start(self, name):
        return Server(self.arguments, *self.servers[name])

    def load(self, server, devices, window, *more):
        """Runs the load against a server and returns its summary. The ledger it keeps goes to
        memory where possible, so that it does not share the disk with the server."""
        directory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else server.directory
        with tempfile.TemporaryDirectory(prefix="sluice-bench-", dir=directory) as ledger:
            done = subprocess.run(
                [self.arguments.load, "--port", str(server.port), "--ledger", ledger + "/ledger",
                 "--devices", str(devices), "--window", str(window),
                 "--capacity", str(self.arguments.capacity),
                 "--payload", str(self.arguments.payload), "--protocol",
                 str(self.arguments.protocol), *map(str, more)],
                stdout=subprocess.PIPE, text=True, timeout=600, check=False)
        if done.returncode or not done.stdout.strip():
            raise SystemExit(f"load against {server.process.args[0]}: exit code "
                             f"{done.returncode}: {done.stdout.strip()}")
        return json.loads(done.stdout.strip().splitlines()[-1])

    def limit(self, *numbers):
        directory = tempfile.mkdtemp(prefix="sluice-bench-", dir=self.arguments.work)
        try:
            done = subprocess.run([self.arguments.limit, os.path.join(directory, "limit.db"),
                                   *map(str, numbers)],
                                  stdout=subprocess.PIPE, text=True, timeout=600, check=True)
            return json.loads(done.stdout)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def ingest(self, name, devices, window):
        """One repetition at one point of the grid."""
        if name == "limit":
            said = self.limit(self.arguments.payload, devices * window, self.arguments.seconds)
            return {"per_second": said["events_per_s"], "cpu_us": said["cpu_us_per_event"]}
        server = self.start(name)
        try:
            cpu = server.cpu_s()
            said = self.load(server, devices, window, "--seconds", self.arguments.seconds)
            cpu = server.cpu_s() - cpu
        finally:
            server.stop()
        return {"per_second": said["per_second"], "cpu_us": cpu * 1e6 / said["acknowledged"],
                "p50_us": said["p50_us"], "p99_us": said["p99_us"]}

    def writes(self, name, rate, seconds):
        """Bytes written and CPU per event at a fixed rate, from one device."""
        if name == "limit":
            said = self.limit(self.arguments.payload, 1, seconds, rate)
            return {"written_bytes": said["written_bytes_per_event"],
                    "cpu_us": said["cpu_us_per_event"]}
        server = self.start(name)
        try:
            self.load(server, 1, 1, "--count", WARM_UP_EVENTS)
            cpu, written = server.cpu_s(), server.written_bytes()
            said = self.load(server, 1, 100, "--rate", rate, "--count", rate * seconds)
            written, cpu = server.written_bytes() - written, server.cpu_s() - cpu
        finally:
            server.stop()
        return {"written_bytes": written / said["acknowledged"],
                "cpu_us": cpu * 1e6 / said["acknowledged"], "p50_us": said["p50_us"],
                "p99_us": said["p99_us"]}


def medians(runs):
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def measure(bench, arguments):
    """All of it; {"ingest": {point: {contender: medians}}, "writes": {rate: {...}}}."""
    result = {"ingest": {}, "writes": {}}
    for point in arguments.grid:
        devices, window = (int(part) for part in point.split("x"))
        runs = {name: [] for name in arguments.contenders}
        for repetition in range(arguments.repetitions):
            for name in arguments.contenders:  # in turn, so that a slow minute hits everybody
                runs[name].append(bench.ingest(name, devices, window))
                print(f"# {point} {name} {repetition + 1}/{arguments.repetitions}: "
                      f"{runs[name][-1]['per_second']:,.0f}/s", file=sys.stderr, flush=True)
        result["ingest"][point] = {name: medians(of) for name, of in runs.items()}
    for rate in arguments.rates:
        result["writes"][str(rate)] = {}
        for name in arguments.contenders:
            if name != "mosquitto":  # it writes nothing
                result["writes"][str(rate)][name] = bench.writes(name, rate, RATES[rate])
                print(f"# {rate}/s {name}", file=sys.stderr, flush=True)
    return result


def cell(row, key, form):
    return form.format(row[key]) if key in row else "-"


def report(result, arguments):
    print(f"\nIngest, connections x window, {arguments.payload}-byte payloads, QoS 1, upstream "
          f"away, medians of {arguments.repetitions} x {arguments.seconds} s:\n")
    print("| load | | acked/s | CPU us/event | p50 us | p99 us | acked/s : mosquitto | "
          "CPU : mosquitto |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for point, rows in result["ingest"].items():
        peer = rows.get("mosquitto")
        for name, row in rows.items():
            ratios = ("-", "-")
            if peer and name != "mosquitto":
                ratios = (f"{row['per_second'] / peer['per_second']:.2f}",
                          f"{row['cpu_us'] / peer['cpu_us']:.2f}")
            print(f"| {point} | {name} | {row['per_second']:,.0f} | {row['cpu_us']:.2f} | "
                  f"{cell(row, 'p50_us', '{:,.0f}')} | {cell(row, 'p99_us', '{:,.0f}')} | "
                  f"{ratios[0]} | {ratios[1]} |")
    if result["writes"]:
        print("\nOne device at a fixed rate:\n")
        print("| events/s | | bytes written/event | CPU us/event | p50 us | p99 us |")
        print("| ---: | --- | ---: | ---: | ---: | ---: |")
        for rate, rows in result["writes"].items():
            for name, row in rows.items():
                print(f"| {rate} | {name} | {row['written_bytes']:,.0f} | {row['cpu_us']:.1f} | "
                      f"{cell(row, 'p50_us', '{:,.0f}')} | {cell(row, 'p99_us', '{:,.0f}')} |")


def judge(result):
    """The ratios the project promises. Returns an exit code."""
    rows = result["ingest"][ASSERTED]
    acked = rows["sluice"]["per_second"] / rows["mosquitto"]["per_second"]
    cpu = rows["sluice"]["cpu_us"] / rows["mosquitto"]["cpu_us"]
    kept = acked >= ACKED_AT_LEAST and cpu <= CPU_AT_MOST
    print(f"\n{ASSERTED} against mosquitto: {acked:.2f}x the acknowledged events/s (at least "
          f"{ACKED_AT_LEAST}), {cpu:.2f}x the CPU per event (at most {CPU_AT_MOST}): "
          f"{'kept' if kept else 'BROKEN'}")
    return 0 if kept else 1


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser.add_argument("--build", default=os.path.join(top, "build-release"),
                        help="build directory with sluice, load and limit (a release build)")
    parser.add_argument("--sluice", help="default: BUILD/src/sluice")
    parser.add_argument("--load", help="default: BUILD/tests/integration/load")
    parser.add_argument("--limit", help="default: BUILD/tests/bench/limit")
    parser.add_argument("--mosquitto", help="default: from the path")
    parser.add_argument("--contenders", default="sluice,mosquitto,limit")
    parser.add_argument("--grid", default=",".join(GRID), help="CONNECTIONSxWINDOW,...")
    parser.add_argument("--rates", default=",".join(map(str, RATES)), help='"" for none')
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--payload", type=int, default=200, help="bytes")
    parser.add_argument("--protocol", type=int, default=4, choices=(4, 5))
    parser.add_argument("--work", help="directory on the disk to be measured (default: $TMPDIR)")
    parser.add_argument("--quick", action="store_true",
                        help=f"{ASSERTED} only, 3 x 3 s, no fixed rates")
    parser.add_argument("--assert", action="store_true", dest="asserted",
                        help="exit code 1 if the promised ratios are missed")
    parser.add_argument("--json", help="file for the numbers")
    arguments = parser.parse_args()
    arguments.capacity = 1 << 24
    if arguments.quick:
        arguments.grid, arguments.rates = ASSERTED, ""
        arguments.seconds, arguments.repetitions = 3, 3
    arguments.grid = arguments.grid.split(",")
    arguments.rates = [int(rate) for rate in arguments.rates.split(",") if rate]
    arguments.contenders = arguments.contenders.split(",")
    for name, place in (("sluice", "src"), ("load", "tests/integration"), ("limit", "tests/bench")):
        if not getattr(arguments, name):
            setattr(arguments, name, os.path.join(arguments.build, place, name))
        if not os.access(getattr(arguments, name), os.X_OK):
            parser.error(f"{getattr(arguments, name)} is not there; build it first")
    arguments.sluice = os.path.abspath(arguments.sluice)
    arguments.mosquitto = arguments.mosquitto or shutil.which(
        "mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not arguments.mosquitto and "mosquitto" in arguments.contenders:
        parser.error("mosquitto is not installed; see --contenders")
    if any(rate not in RATES for rate in arguments.rates):
        parser.error(f"rates are out of {sorted(RATES)}")
    if arguments.asserted and not ({"sluice", "mosquitto"} <= set(arguments.contenders)
                                   and ASSERTED in arguments.grid):
        parser.error(f"--assert needs sluice and mosquitto at {ASSERTED}")
    return arguments


def main():
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are stopped
    result = measure(Bench(arguments), arguments)
    report(result, arguments)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
    return judge(result) if arguments.asserted else 0


if __name__ == "__main__":
    sys.exit(main())
