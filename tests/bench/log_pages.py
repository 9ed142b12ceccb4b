#!/usr/bin/env python3
"""Which pages the commits in a write-ahead log wrote, by what they hold.

    tests/bench/log_pages.py DATABASE

DATABASE as a killed gateway left it, log beside it: both are copied before they are looked at.
Prints how many pages a commit wrote, and for each kind of page in how many commits it was.
"""
import collections
import os
import shutil
import sqlite3
import struct
import sys
import tempfile

HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24


def commits(log):
    """Lists of page numbers, one per commit, oldest first; of the log's present round alone."""
    with open(log, "rb") as file:
        data = file.read()
    if len(data) < HEADER_BYTES:
        return 0, []
    page_bytes, = struct.unpack_from(">I", data, 8)
    salts = data[16:24]
    found, pages = [], []
    for at in range(HEADER_BYTES, len(data) - FRAME_HEADER_BYTES - page_bytes + 1,
                    FRAME_HEADER_BYTES + page_bytes):
        page, size = struct.unpack_from(">II", data, at)
        if data[at + 8:at + 16] != salts:
            break
        pages.append(page)
        if size:
            found.append(pages)
            pages = []
    return page_bytes, found


def owners(database):
    """{page: what it holds}, as of the end of the log."""
    connection = sqlite3.connect(database)
    try:
        rows = connection.execute("SELECT pageno, name, pagetype FROM dbstat").fetchall()
        pages, = connection.execute("PRAGMA page_count").fetchone()
        page_bytes, = connection.execute("PRAGMA page_size").fetchone()
        vacuum, = connection.execute("PRAGMA auto_vacuum").fetchone()
    finally:
        connection.close()
    found = {page: f"{name} {kind}" for page, name, kind in rows}
    found[1] = "page 1 (header, schema)"
    step = page_bytes // 5 + 1
    for page in range(2, pages + 1, step) if vacuum else ():
        found[page] = "pointer map"
    return found


def analyse(database):
    """(page bytes, [{kind: frames} per commit])."""
    with tempfile.TemporaryDirectory() as directory:
        copy = os.path.join(directory, "copy.db")
        for suffix in ("", "-wal"):
            if os.path.exists(database + suffix):
                shutil.copy(database + suffix, copy + suffix)
        page_bytes, found = commits(copy + "-wal")
        kinds = owners(copy)
    return page_bytes, [collections.Counter(kinds.get(page, "free") for page in pages)
                        for pages in found]


def report(database):
    page_bytes, found = analyse(database)
    if not found:
        print("no commits in the log")
        return
    frames = sum(sum(one.values()) for one in found)
    print(f"{len(found)} commits in the log, {frames / len(found):.2f} pages of {page_bytes} bytes "
          f"each:")
    total, present = collections.Counter(), collections.Counter()
    for one in found:
        total.update(one)
        present.update(one.keys())
    for kind, count in total.most_common():
        print(f"  {count / len(found):6.3f} a commit, in {present[kind] / len(found):4.0%} of "
              f"them: {kind}")


if __name__ == "__main__":
    report(sys.argv[1])
