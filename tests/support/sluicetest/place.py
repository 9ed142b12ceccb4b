"""Where things are: the programs under test, shared data, free ports, temporary folders."""

import os
import random
import shutil
import socket
import tempfile
import unittest
from pathlib import Path

SOURCE_ROOT = Path(__file__).resolve().parents[3]


def under_ci():
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def require(condition, reason):
    """Skips the test if condition does not hold; under CI nothing may be skipped, so it fails."""
    if condition:
        return
    if under_ci():
        raise AssertionError(f"cannot run here, and under CI nothing may be skipped: {reason}")
    raise unittest.SkipTest(reason)


def program(name, why="needed by this test"):
    """Absolute path of an installed program."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")
    require(path, f"{name} is not installed ({why})")
    return path


def as_user(number):
    """What stands before a command that is to run as that user; for root only."""
    return (program("setpriv", "to give up root"), f"--reuid={number}", f"--regid={number}",
            "--clear-groups", "--")


def built(variable, name):
    """A program of this build, by environment variable or beside the first build folder found."""
    path = os.environ.get(variable)
    if not path:
        found = sorted(SOURCE_ROOT.glob(f"build*/{name}"))
        path = str(found[0]) if found else None
    require(path and os.access(path, os.X_OK), f"{variable} does not name a program ({path})")
    return os.path.abspath(path)


def sluice_bin():
    return built("SLUICE_BIN", "src/sluice")


def release_bin():
    """The binary whose memory is measured: sanitizers would measure themselves."""
    path = os.environ.get("SLUICE_RELEASE_BIN") or sluice_bin()
    require(not sanitized(path), f"{path} has sanitizers built in; set SLUICE_RELEASE_BIN")
    return os.path.abspath(path)


def sanitized(path):
    with open(path, "rb") as binary:
        return b"__asan_init" in binary.read()


def load_bin():
    return built("SLUICE_LOAD", "tests/integration/load")


def check_bin():
    return built("SLUICE_CHECK", "tests/integration/check")


def shared(*parts):
    """A file of the shared test data."""
    root = os.environ.get("SLUICE_SHARED") or "../shared"
    path = SOURCE_ROOT.joinpath(root, *parts)
    require(path.exists(), f"shared test data {path} is missing (SLUICE_SHARED names its folder)")
    return path


def file_system(path):
    """Type of the file system that holds path ("ext4", "tmpfs", ...)."""
    best, kind = "", "unknown"
    path = os.path.realpath(path)
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        for line in mounts:
            fields = line.split()
            point = fields[4].encode().decode("unicode_escape")
            inside = point == "/" or path == point or path.startswith(point + "/")
            if inside and len(point) >= len(best):
                best, kind = point, fields[fields.index("-") + 1]
    return kind


def temporary_folder():
    """A new folder on a real disk, with a path short enough for unix sockets below it."""
    for parent in (os.environ.get("SLUICE_TEST_DIR"), tempfile.gettempdir(), "/var/tmp"):
        if parent and file_system(parent) not in ("tmpfs", "ramfs"):
            return Path(tempfile.mkdtemp(prefix="sluice-", dir=parent))
    return Path(tempfile.mkdtemp(prefix="sluice-"))


_given = set()


def free_port():
    """A TCP port of loopback that nobody listens on and that no outgoing connection will get: it
    lies below the ephemeral range, so a broker that was stopped can have it again."""
    for _ in range(1000):
        port = random.SystemRandom().randrange(10240, 32000)
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise AssertionError("no free port found")
