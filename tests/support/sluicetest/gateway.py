"""The gateway under test: its configuration, its process, and what it says about itself."""

import copy
import http.client
import json
import re
import signal
import socket

from . import place, wait
from .process import Process, run

EXIT_RUNTIME, EXIT_USAGE, EXIT_CONFIG = 1, 2, 78

_SAMPLE = re.compile(r"^([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"')


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Metrics:
    """The samples of /metrics."""

    def __init__(self, text):
        self.text = text
        self.samples = {}
        for line in text.splitlines():
            match = _SAMPLE.match(line)
            if not match:
                assert not line or line.startswith("#"), f"not a metrics line: {line!r}"
                continue
            labels = frozenset(_LABEL.findall(match[2] or ""))
            assert (match[1], labels) not in self.samples, f"given twice: {line}"
            self.samples[match[1], labels] = float(match[3])

    def get(self, name, **labels):
        """The sum of all samples of that name that carry these labels."""
        wanted = set(labels.items())
        found = [value for (one, has), value in self.samples.items()
                 if one == name and wanted <= has]
        assert found, f"no metric {name} {labels or ''}"
        return sum(found)


class Gateway:
    def __init__(self, folder, upstream=None, config=None, binary=None, name="gateway"):
        """upstream: port of a broker on loopback, or None. config: merged over the default, one
        level deep per section."""
        self.folder, self.name = folder, name
        self.binary = binary or place.sluice_bin()
        self.port = place.free_port()
        self.data_dir = folder / f"{name}.data"
        self.socket_path = folder / f"{name}.sock"
        self.config_path = folder / f"{name}.json"
        self.process = None
        self.env = {}
        self.config = {
            "gateway": {"id": "test-gateway", "data_dir": str(self.data_dir)},
            "listeners": [{"name": "lan", "bind": f"127.0.0.1:{self.port}", "anonymous": True}],
            "admin": {"socket": str(self.socket_path)},
        }
        if upstream:
            self.config["upstreams"] = [self.upstream(upstream)]
        for section, value in (config or {}).items():
            if isinstance(value, dict) and isinstance(self.config.get(section), dict):
                self.config[section].update(copy.deepcopy(value))
            else:
                self.config[section] = copy.deepcopy(value)

    @staticmethod
    def upstream(port, **keys):
        return {"name": "cloud", "url": f"mqtt://127.0.0.1:{port}", "streams": ["events"],
                "envelope": "raw", **keys}

    # process

    def write_config(self):
        self.config_path.write_text(json.dumps(self.config, indent=2), encoding="utf-8")
        return self.config_path

    def argv(self):
        return [self.binary, "run", "-c", self.config_path]

    def launch(self, prefix=()):
        """Starts it without waiting for anything."""
        self.write_config()
        self.process = Process(self.name, [*prefix, *self.argv()], self.folder, env=self.env)
        return self

    def start(self, seconds=20, prefix=()):
        """Starts it and waits until /readyz says 200."""
        self.launch(prefix)
        self.wait_ready(seconds)
        return self

    def wait_ready(self, seconds=20):
        wait.until(self.ready, seconds, lambda: f"the gateway to be ready:\n{self.process.tail()}",
                   alive=self.process)

    def ready(self):
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def stop(self, seconds=30):
        """SIGTERM; returns the exit code."""
        return self.process.stop(seconds)

    def kill(self):
        return self.process.kill()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def check(self):
        """sluice check -c FILE."""
        self.write_config()
        return run([self.binary, "check", "-c", self.config_path], env=self.env)

    def command(self, *arguments):
        return run([self.binary, *arguments], env=self.env)

    # what it says

    def get(self, path, timeout=10):
        """GET over the unix socket: (status code, body text)."""
        connection = _UnixConnection(str(self.socket_path), timeout)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except http.client.HTTPException as error:
            raise ConnectionError(repr(error)) from error
        finally:
            connection.close()

    def status(self):
        code, body = self.get("/api/v1/status")
        assert code == 200, f"/api/v1/status says {code}: {body}"
        return json.loads(body)

    def metrics(self):
        code, body = self.get("/metrics")
        assert code == 200, f"/metrics says {code}: {body}"
        return Metrics(body)

    def metric(self, name, **labels):
        return self.metrics().get(name, **labels)

    def wait_metric(self, condition, seconds, what):
        """Until condition(metrics) is true."""
        wait.until(lambda: condition(self.metrics()), seconds, what, every=0.05,
                   alive=self.process)

    def wait_forwarded(self, seconds=30, upstream="cloud", stream="events"):
        """Until the upstream has acknowledged everything that is stored by now. (Not by the lag,
        which may be that of a moment ago; a cursor at the head proves it.)"""
        head = self.metric("sluice_stream_next_offset", stream=stream)

        def forwarded(metrics):
            return metrics.get("sluice_range_next_offset", upstream=upstream,
                               stream=stream) >= head

        self.wait_metric(forwarded, seconds, lambda: f"the upstream to catch up to {head:g}:\n" +
                         "\n".join(line for line in self.metrics().text.splitlines()
                                   if line.startswith(("sluice_range", "sluice_upstream"))))
        self.wait_metric(lambda m: m.get("sluice_range_lag_events", upstream=upstream,
                                         stream=stream) == 0, 5, "the lag to be 0")
