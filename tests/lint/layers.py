#!/usr/bin/python3
"""Holds every #include of src/ against rooms.json: who may include whom, which room owns which
foreign header, own header first, internal headers, guards, cycles, and what meson.build links."""
import fnmatch
import json
import pathlib
import re

import findings
from findings import Finding

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
MESON_DEPENDENCY = re.compile(r"\b([a-z]+)_dep\b")
TABLE = json.loads((pathlib.Path(__file__).parent / "rooms.json").read_text(encoding="utf-8"))


def room_of(path: str) -> str:
    """The room of a path below src/; "" for files at its top."""
    return path.split("/")[0] if "/" in path else ""


def includes(path: pathlib.Path):
    """(line number, target, quoted) per #include."""
    for number, line in enumerate(findings.lines(path), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1) or match.group(2), match.group(1) is not None


def matches(name: str, patterns) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def allowed(room: str, target: str) -> bool:
    row = TABLE["rooms"][room]
    target_room = room_of(target)
    return target_room in (room, "base") or "*" in row or target_room in row or target in row


def check_own(src, name: str, number: int, target: str) -> list[Finding]:
    """A quoted include."""
    room, shown = room_of(name), "src/" + name
    if target.startswith("sluice/"):
        return []
    if "/" not in target and room:
        return [Finding(shown, number, "form", f'"{target}": write "room/file.h"')]
    if room_of(target) not in TABLE["rooms"]:
        return [Finding(shown, number, "room", f'"{target}" is in no room of the table')]
    found = []
    if not allowed(room, target):
        found.append(Finding(shown, number, "layer", f'{room} may not include "{target}"'))
    if target.endswith("/internal.h") and room_of(target) != room:
        found.append(Finding(shown, number, "internal", f'"{target}" belongs to its room alone'))
    return found


def check_foreign(name: str, number: int, target: str) -> list[Finding]:
    """An include in angle brackets."""
    for pattern, owners in TABLE["foreign"].items():
        if fnmatch.fnmatchcase(target, pattern):
            if name in owners or room_of(name) in owners:
                return []
            return [Finding("src/" + name, number, "foreign",
                            f"<{target}> belongs to {' and '.join(owners)}")]
    if matches(target, TABLE["system"]):
        return []
    return [Finding("src/" + name, number, "foreign",
                    f"<{target}> is in neither list of rooms.json")]


def check_first(src, name: str, found_includes) -> list[Finding]:
    """Each .c includes its own header first, or one of its room where it has none of its own."""
    if not name.endswith(".c") or not room_of(name):
        return []
    own = name[:-2] + ".h"
    first = found_includes[0] if found_includes else (1, "nothing", False)
    fits = first[1] == own if (src / own).exists() else room_of(first[1]) == room_of(name)
    if fits and first[2]:
        return []
    wanted = f'"{own}"' if (src / own).exists() else "a header of its room"
    return [Finding("src/" + name, first[0], "first", f"includes {first[1]} before {wanted}")]


def guard_of(path: str) -> str:
    parts = path.split("/")
    if parts[0] == "src":
        parts = ["sluice"] + parts[1:]
    else:
        parts = parts[1:]
    name = "_".join(parts).removesuffix(".in").removesuffix(".h")
    return re.sub(r"[^A-Z0-9]", "_", name.upper()) + "_H"


def check_guard(root: pathlib.Path, path: pathlib.Path) -> list[Finding]:
    shown = path.relative_to(root).as_posix()
    guard = guard_of(shown)
    text = findings.lines(path)
    if text[:2] == [f"#ifndef {guard}", f"#define {guard}"] and text[-1].startswith("#endif"):
        return []
    return [Finding(shown, 1, "guard", f"begins with #ifndef {guard}, #define {guard}, "
                                       "ends with #endif")]


def check_cycles(graph: dict[str, list[str]]) -> list[Finding]:
    found, state = [], {}

    def visit(name: str, trail: list[str]) -> None:
        state[name] = "open"
        for target in graph.get(name, []):
            if state.get(target) == "open":
                cycle = trail[trail.index(target):] + [target]
                found.append(Finding("src/" + name, 1, "cycle", " -> ".join(cycle)))
            elif target not in state:
                visit(target, trail + [target])
        state[name] = "done"

    for name in graph:
        if name not in state:
            visit(name, [name])
    return found


def check_room_cycles(graph: dict[str, list[str]]) -> list[Finding]:
    """Rooms as a whole must not need each other either."""
    rooms: dict[str, list[str]] = {}
    for name, targets in graph.items():
        for target in targets:
            row = rooms.setdefault(room_of(name), [])
            if "/" in target and room_of(target) not in row + [room_of(name)]:
                row.append(room_of(target))
    return check_cycles(rooms)


def check_meson(root: pathlib.Path) -> list[Finding]:
    """A room links what it may include, and nothing else."""
    found = []
    for room in TABLE["rooms"]:
        path = root / "src" / room / "meson.build"
        if not room or not path.exists():
            continue
        row = {room_of(entry) if "/" in entry else entry for entry in TABLE["rooms"][room]}
        for number, line in enumerate(findings.lines(path), 1):
            for name in MESON_DEPENDENCY.findall(line.split("#")[0]):
                if name in TABLE["rooms"] and name not in row | {"base", room}:
                    found.append(Finding(path.relative_to(root).as_posix(), number, "link",
                                         f"{room} may not link {name}_dep"))
    return found


def check_tests(root: pathlib.Path) -> list[Finding]:
    """A unit test sees the inside of its own room only."""
    found = []
    for path in findings.files(root, ["tests"], (".c", ".h")):
        parts = path.relative_to(root / "tests").parts
        room = parts[1] if parts[0] == "unit" and len(parts) > 2 else None
        for number, target, _ in includes(path):
            if target.endswith("/internal.h") and room_of(target) != room:
                found.append(Finding(path.relative_to(root).as_posix(), number, "internal",
                                     f'"{target}" belongs to its room alone'))
    return found


def check(root: pathlib.Path) -> list[Finding]:
    src = root / "src"
    found, graph = [], {}
    for path in findings.files(root, ["src"], (".c", ".h")):
        name = path.relative_to(src).as_posix()
        if room_of(name) not in TABLE["rooms"]:
            found.append(Finding("src/" + name, 1, "room", "this folder is in no row of the table"))
            continue
        all_includes = list(includes(path))
        graph[name] = [target for _, target, quoted in all_includes if quoted]
        for number, target, quoted in all_includes:
            found += (check_own(src, name, number, target) if quoted
                      else check_foreign(name, number, target))
        found += check_first(src, name, all_includes)
    for path in findings.files(root, findings.SOURCE_FOLDERS, (".h", ".h.in")):
        found += check_guard(root, path)
    return (found + check_cycles(graph) + check_room_cycles(graph) + check_meson(root)
            + check_tests(root))


if __name__ == "__main__":
    findings.main(check)
