"""The base of the integration tests: what a test starts is ended and accounted for."""

import os
import shutil
import sys
import unittest

from . import place
from .brokers import Mosquitto
from .collect import Collector
from .fleet import Check, Load
from .gateway import Gateway

_SANITIZER_MARKS = ("AddressSanitizer", "LeakSanitizer", "runtime error:", "ThreadSanitizer")


class Case(unittest.TestCase):
    """Each test has a folder of its own; it is kept where the test failed and SLUICE_TEST_KEEP is
    set. Nothing started through these methods outlives the test, and a gateway that a sanitizer
    complained about, or that died of a signal nobody sent, fails it."""

    maxDiff = 2000

    def setUp(self):
        self.folder = place.temporary_folder()
        self.addCleanup(self._remove_folder)

    def _remove_folder(self):
        if os.environ.get("SLUICE_TEST_KEEP"):
            print(f"kept: {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, process):
        if process and process.running():
            process.kill()

    def mosquitto(self, start=True, **options):
        broker = Mosquitto(self.folder, **options)
        self.addCleanup(lambda: self._end(broker.process))
        return broker.start() if start else broker

    def broker(self, kind):
        broker = kind(self.folder)
        self.addCleanup(lambda: self._end(broker.process))
        return broker.start()

    def gateway(self, **options):
        """A gateway that is not started yet."""
        gateway = Gateway(self.folder, **options)
        self.addCleanup(self._end_gateway, gateway)
        return gateway

    def _end_gateway(self, gateway):
        if not gateway.process:
            return
        self._end(gateway.process)
        said = gateway.process.err_path.read_text(encoding="utf-8", errors="replace")
        for mark in _SANITIZER_MARKS:
            self.assertNotIn(mark, said, "a sanitizer complained")
        code = gateway.process.returncode()
        self.assertIn(-code if code < 0 else 0, (0, 9, 15), f"died of a signal:\n{said[-3000:]}")

    def collector(self, broker, **options):
        collector = Collector(broker.port, **options)
        self.addCleanup(collector.close)
        return collector

    def load(self, port, **options):
        load = Load(self.folder, port, **options)
        self.addCleanup(lambda: self._end(load.process))
        return load

    def check(self, port, ledger, **options):
        check = Check(self.folder, port, ledger, **options)
        self.addCleanup(lambda: self._end(check.process))
        return check

    def say(self, text):
        """A measured number for whoever reads the test log."""
        print(f"{self.id().rpartition('.')[2]}: {text}", file=sys.stderr, flush=True)


def main():
    """Runs the tests of the calling file. Exit code 77 (skipped, to meson) if all were skipped."""
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.testsRun == 0:
        sys.exit("no test was run")
    sys.exit(77 if len(result.skipped) == result.testsRun else 0)
