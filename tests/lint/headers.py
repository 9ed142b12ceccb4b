#!/usr/bin/python3
"""Compiles every header alone, as C, and those of include/ also as C++.

usage: headers.py ROOT --cc "CC ARGUMENTS" [--cxx "CXX ARGUMENTS"] [--include FOLDER]...
Generated headers lie below the folders named by --include."""
import argparse
import concurrent.futures
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

import findings
from findings import Finding

C_FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]
CXX_FLAGS = ["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
PUBLIC_C_FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def compile_alone(command: list[str], flags: list[str], folders: list[pathlib.Path],
                  header: pathlib.Path, suffix: str) -> str | None:
    """What the compiler says of a file that includes this header twice, else None."""
    with tempfile.TemporaryDirectory() as folder:
        unit = pathlib.Path(folder) / ("unit" + suffix)
        unit.write_text(f'#include "{header}"\n#include "{header}"\nint sluice_unit;\n',
                        encoding="utf-8")
        result = subprocess.run(
            command + flags + ["-fsyntax-only"] + [f"-I{folder}" for folder in folders]
            + [str(unit)], capture_output=True, text=True, check=False)
    return None if result.returncode == 0 else result.stderr.strip()


def tasks(root: pathlib.Path, generated: list[pathlib.Path], cc, cxx):
    folders = [root / "src", root / "include"] + generated
    for header in findings.files(root, ["src"], (".h",)):
        yield "header", cc, C_FLAGS, folders, header, ".c"
    public = list(findings.files(root, ["include"], (".h",)))
    for folder in generated:
        public += findings.files(folder, ["sluice"], (".h",))
    for header in public:
        yield "header", cc, PUBLIC_C_FLAGS, folders, header, ".c"
        if cxx:
            yield "header in C++", cxx, CXX_FLAGS, folders, header, ".cpp"


def check(root: pathlib.Path, generated: list[pathlib.Path], cc: list[str],
          cxx: list[str]) -> list[Finding]:
    def run(task) -> Finding | None:
        rule, command, flags, folders, header, suffix = task
        said = compile_alone(command, flags, folders, header, suffix)
        shown = os.path.relpath(header, root)
        return Finding(shown, 1, rule, "does not compile alone\n" + said) if said else None

    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        return [found for found in pool.map(run, tasks(root, generated, cc, cxx)) if found]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("--cc", type=shlex.split, required=True)
    parser.add_argument("--cxx", type=shlex.split, default=[])
    parser.add_argument("--include", type=pathlib.Path, action="append", default=[])
    arguments = parser.parse_args()
    if not arguments.cxx and os.environ.get("CI") == "true":
        sys.exit("no C++ compiler: the public headers cannot be tried as C++")
    found = check(arguments.root.resolve(), [path.resolve() for path in arguments.include],
                  arguments.cc, arguments.cxx)
    for finding in found:
        print(finding)
    print(f"{len(found)} findings")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
