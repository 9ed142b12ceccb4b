"""The load generator and its counterpart at the far end."""

import json

from . import place, wait
from .process import Process


class Load:
    """tests/support/load.c on the devices' side."""

    def __init__(self, folder, port, ledger=None, name="load", **options):
        """options as on the command line: devices=10, rate=5000, count=100000, reconnect=True;
        continue_=True goes on with an existing ledger."""
        self.ledger = ledger or folder / f"{name}.ledger"
        argv = [place.load_bin(), "--port", port, "--ledger", self.ledger]
        for key, value in options.items():
            key = "--" + key.rstrip("_")
            argv += [key] if value is True else [key, value]
        self.process = Process(name, argv, folder)
        self._out_mark = 0

    def finish(self, seconds, expect=0):
        """Waits for the end (expect: exit code, None for any) and returns its summary."""
        code = self.process.wait(seconds)
        summary = self.summary()
        assert expect is None or code == expect, \
            f"load ended with {code}: {summary}\n{self.process.tail()}"
        return summary

    def summary(self):
        lines = self.process.out().splitlines()
        return json.loads(lines[-1]) if lines else {}

    def stop(self):
        """Ends it at once; its ledger stays."""
        self.process.stop()
        return self.summary()


class Check:
    """tests/support/check.c: a subscriber at the upstream broker, with a persistent session."""

    def __init__(self, folder, port, ledger, name="check", **options):
        self.report_path = folder / f"{name}.report"
        argv = [place.check_bin(), "--port", port, "--report", self.report_path,
                "--ledger", ledger]
        for key, value in options.items():
            argv += ["--" + key, value]
        self.process = Process(name, argv, folder)
        wait.until(lambda: self.report().get("subscribed"), 10, "check to be subscribed",
                   alive=self.process)

    def report(self):
        try:
            return json.loads(self.report_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}

    def wait_complete(self, seconds):
        """Until everything acknowledged has arrived (the load must be over); returns the report
        after the check has ended. The caller asserts: a deadline passed is not an error here, so
        that what is missing can be said."""
        try:
            wait.until(lambda: self.report()["missing"] == 0, seconds, "completeness", every=0.2,
                       alive=self.process)
            # Two more reports, so that late duplicates are seen.
            seen = self.report()["received"]
            wait.until(lambda: self.report()["received"] == seen, 5, "silence", every=0.5)
        except AssertionError:
            if not self.process.running():
                raise
        self.process.stop()
        return self.report()
