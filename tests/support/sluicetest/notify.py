"""The receiving end of sd_notify(3)."""

import socket

from . import wait


class NotifySocket:
    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.lines = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)

    def read(self):
        """All assignments received so far, in order."""
        while True:
            try:
                self.lines += self._socket.recv(65536).decode().splitlines()
            except BlockingIOError:
                return self.lines

    def wait(self, line, seconds=10, times=1):
        wait.until(lambda: self.read().count(line) >= times, seconds,
                   lambda: f"{times} x {line!r} on the notify socket; got {self.lines}")

    def close(self):
        self._socket.close()
