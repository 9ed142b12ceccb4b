"""Brokers that are not ours: mosquitto and NATS, on loopback, with their own folders."""

import socket

from . import place, wait
from .process import Process


def accepts(port):
    """Whether somebody accepts TCP connections on this port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Broker:
    """What they have in common: start, stop and start again on the same port."""

    name = "broker"

    def __init__(self, folder):
        self.folder = folder
        self.port = place.free_port()
        self.process = None

    def argv(self):
        raise NotImplementedError

    def start(self):
        self.process = Process(f"{self.name}-{self.port}", self.argv(), self.folder)
        wait.until(lambda: accepts(self.port), 20, f"{self.name} to listen on {self.port}",
                   alive=self.process)
        return self

    def stop(self):
        self.process.stop()

    def kill(self):
        self.process.kill()


class Mosquitto(Broker):
    """No limits on what it queues; persistence: what it holds survives stop() and start()."""

    name = "mosquitto"

    def __init__(self, folder, persistence=False, extra=()):
        super().__init__(folder)
        self.config = folder / f"mosquitto-{self.port}.conf"
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true",
                 "max_queued_messages 0", "max_queued_bytes 0", "max_inflight_messages 1000",
                 "set_tcp_nodelay true", "log_type error",
                 "log_type warning", "log_type notice"]
        if persistence:
            store = folder / f"mosquitto-{self.port}.d"
            store.mkdir()
            lines += ["persistence true", f"persistence_location {store}/", "user root"]
        self.config.write_text("\n".join([*lines, *extra]) + "\n", encoding="utf-8")

    def argv(self):
        return [place.program("mosquitto", "the broker of the tests"), "-c", self.config]


class Nats(Broker):
    """nats-server with JetStream and its MQTT 3.1.1 listener."""

    name = "nats"

    def __init__(self, folder):
        super().__init__(folder)
        self.config = folder / f"nats-{self.port}.conf"
        self.config.write_text(
            f'server_name: "nats{self.port}"\n'
            f'listen: "127.0.0.1:{place.free_port()}"\n'
            f'jetstream {{ store_dir: "{folder}/nats-{self.port}.d" }}\n'
            f'mqtt {{ listen: "127.0.0.1:{self.port}", max_ack_pending: 10000 }}\n',
            encoding="utf-8")

    def argv(self):
        return [place.program("nats-server", "an upstream of another kind"), "-c", self.config]
