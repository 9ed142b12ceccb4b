#!/usr/bin/python3
"""Lengths, white space and words. What clang-format leaves alone ("clang-format off") may have long
lines: a table reads as a table."""
import pathlib
import re

import findings
from findings import Finding

LINE_MAX = 100          # code points
FILE_MAX, FILE_WARN = 600, 500
FUNCTION_MAX = 70       # lines from brace to brace

FOLDERS = ("src", "include", "tests", "packaging", "conf")
SUFFIXES = (".c", ".h", ".h.in", ".py", ".sh", ".sql", "meson.build")
# Spelled so that this file does not find itself.
WORDS = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")
PATHS_ANYWHERE = re.compile(r"(?<![\w.$}])/(?:wo" r"rk|ho" r"me|ro" r"ot)/")
PATHS_IN_SOURCE = re.compile(r"(?<![\w.$}])/tm" r"p\b")


def check_lines(shown: str, text: list[str]) -> list[Finding]:
    found = []
    formatted = True
    for number, line in enumerate(text, 1):
        def add(rule: str, what: str) -> None:
            found.append(Finding(shown, number, rule, what))
        if "clang-format off" in line:
            formatted = False
        elif "clang-format on" in line:
            formatted = True
        if line != line.rstrip():
            add("space", "white space at the end of the line")
        if "\t" in line:
            add("tab", "a tab")
        if formatted and len(line) > LINE_MAX:
            add("long line", f"{len(line)} columns, {LINE_MAX} are the limit")
        match = WORDS.search(line)
        if match:
            add("word", f"{match.group(0)}: do it, or file an issue")
        match = PATHS_ANYWHERE.search(line)
        if not match and shown.startswith(findings.SOURCE_FOLDERS):
            match = PATHS_IN_SOURCE.search(line)
        if match:
            add("path", f"{match.group(0)}: a path of some machine")
    return found


def check_functions(shown: str, text: list[str]) -> list[Finding]:
    """Kernel braces: a function's stand alone in the first column."""
    found, start = [], None
    for number, line in enumerate(text, 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            if number - start + 1 > FUNCTION_MAX:
                found.append(Finding(shown, start, "long function",
                                     f"{number - start + 1} lines, {FUNCTION_MAX} are the limit"))
            start = None
    return found


def is_source(shown: str) -> bool:
    return shown.startswith(findings.SOURCE_FOLDERS) and shown.endswith((".c", ".h"))


def check(root: pathlib.Path) -> list[Finding]:
    found = []
    for path in findings.files(root, FOLDERS, SUFFIXES):
        shown = path.relative_to(root).as_posix()
        raw = path.read_bytes()
        text = raw.decode("utf-8").splitlines()
        found += check_lines(shown, text)
        if raw and not raw.endswith(b"\n"):
            found.append(Finding(shown, len(text), "end", "no line feed at the end"))
        if b"\r" in raw:
            found.append(Finding(shown, 1, "end", "carriage returns"))
        if path.suffix == ".c":
            found += check_functions(shown, text)
        if is_source(shown) and len(text) > FILE_MAX:
            found.append(Finding(shown, len(text), "long file",
                                 f"{len(text)} lines, {FILE_MAX} are the limit"))
    return found


def warn(root: pathlib.Path) -> list[Finding]:
    found = []
    for path in findings.files(root, findings.SOURCE_FOLDERS, (".c", ".h")):
        length = len(findings.lines(path))
        if FILE_WARN < length <= FILE_MAX:
            found.append(Finding(path.relative_to(root).as_posix(), length, "long file",
                                 f"{length} lines, {FILE_WARN} are planned"))
    return found


if __name__ == "__main__":
    findings.main(check, warn)
