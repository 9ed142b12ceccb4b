"""What the lints share: walking the tree and printing what was found, as file:line: rule: text."""
import pathlib
import sys
from typing import Iterator, NamedTuple

SOURCE_FOLDERS = ("src", "include")


class Finding(NamedTuple):
    path: str
    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.text}"


def files(root: pathlib.Path, folders, suffixes: tuple[str, ...]) -> Iterator[pathlib.Path]:
    """The files below the folders whose names end so, in order of their paths."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and path.name.endswith(suffixes):
                yield path


def lines(path: pathlib.Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def main(check, warn=None) -> None:
    """Checks the tree named on the command line and ends the process."""
    root = pathlib.Path(sys.argv[1]).resolve()
    for warning in warn(root) if warn else []:
        print(f"warning: {warning}")
    found = check(root)
    for finding in found:
        print(finding)
    print(f"{len(found)} findings")
    sys.exit(1 if found else 0)
