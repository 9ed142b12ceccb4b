"""Waiting on conditions with deadlines."""

import os
import time

# Sanitizers, valgrind and a busy machine slow everything down alike.
FACTOR = float(os.environ.get("SLUICE_TEST_TIMEOUT_MULTIPLIER", "1"))


def until(condition, seconds, what, every=0.02, alive=None):
    """Polls condition until it is true and returns its value; AssertionError after the deadline.
    what says what was waited for (text, or a function giving it). alive: a process that must not
    end meanwhile."""
    deadline = time.monotonic() + seconds * FACTOR
    while True:
        value = condition()
        if value:
            return value
        if alive is not None and alive.returncode() is not None:
            raise AssertionError(
                f"{alive.name} ended with {alive.returncode()} while waiting for "
                f"{what() if callable(what) else what}\n{alive.tail()}")
        if time.monotonic() > deadline:
            raise AssertionError(
                f"not within {seconds * FACTOR:g} s: {what() if callable(what) else what}")
        time.sleep(every)


def settled(value, quiet, seconds, what):
    """Until value() has been the same for so many quiet seconds; returns it."""
    last, since = value(), time.monotonic()

    def unchanged():
        nonlocal last, since
        now = value()
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since >= quiet

    until(unchanged, seconds, what)
    return last
