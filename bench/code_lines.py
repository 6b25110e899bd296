"""Code lines a room, and how many files an analysis is smeared over.

    python -m bench.code_lines [REV] [--touching logit_lens …]

Of a git revision, or of the working tree. A code line holds code: no blank, comment or docstring,
and no other string that stands alone.
"""

import argparse
import ast
import io
import re
import subprocess
import tarfile
import tokenize
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("interp", "probes", "app")
_NO_CODE = (
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
    *(tokenize.ENCODING, tokenize.ENDMARKER),
)


def code_lines(source: str) -> int:
    """Number of lines of a module that hold code.

    >>> code_lines('"What it is."\\n\\nx = [  # why\\n    1,\\n]\\n')
    3
    """
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            held.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                held -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = source.splitlines()
    return sum(bool(lines[number - 1].strip()) for number in held)


def sources(revision: str | None = None) -> dict[str, str]:
    """Path → text of every Python file of a revision (None: of the working tree)."""
    if revision is None:
        command = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.py"]
        names = _git(*command).decode().split("\0")
        paths = [ROOT / name for name in sorted(filter(None, names))]
        return {str(p.relative_to(ROOT)): p.read_text("utf-8") for p in paths if p.is_file()}
    with tarfile.open(fileobj=io.BytesIO(_git("archive", revision))) as archive:
        files = {item.name: archive.extractfile(item) for item in archive if _is_python(item)}
        return {name: file.read().decode() for name, file in sorted(files.items()) if file}


def rooms(files: Mapping[str, str]) -> Counter[str]:
    """Room → code lines: interp/results, … of the library, probes, app, tests, bench."""
    found: Counter[str] = Counter()
    for path, text in files.items():
        parts = Path(path).parts
        deep = parts[0] == "interp" and len(parts) > 2
        found["/".join(parts[: 2 if deep else 1])] += code_lines(text)
    return found


def touching(files: Mapping[str, str], name: str) -> list[str]:
    """Files that contain a name, as logit_lens, logit-lens or LogitLens, in text or file name."""
    camel = "".join(part.capitalize() for part in name.split("_"))
    spelt = re.compile(rf"(?<![A-Za-z]){name.replace('_', '[_-]')}(?![a-z])|\b{camel}\b")
    return [path for path, text in files.items() if spelt.search(f"{path}\n{text}")]


def _report(files: Mapping[str, str], names: list[str]) -> Iterator[str]:
    found, counted = rooms(files), Counter(Path(path).parts[0] for path in files)
    for room, lines in sorted(found.items()):
        yield f"{room:22s} {lines:7,d}"
    product = sum(lines for room, lines in found.items() if room.split("/")[0] in PRODUCT)
    n_files = sum(counted[room] for room in PRODUCT)
    yield f"{'product':22s} {product:7,d} in {n_files} files"
    yield f"{'all':22s} {found.total():7,d} in {counted.total()} files"
    for name in names:
        paths = touching(files, name)
        ours = [path for path in paths if Path(path).parts[0] in PRODUCT]
        yield f"{name}: {len(ours)} product files, {len(paths)} in all"
        yield from (f"    {path}" for path in ours)


def _is_python(item: tarfile.TarInfo) -> bool:
    return item.isfile() and item.name.endswith(".py")


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("revision", nargs="?", help="the working tree where left out")
    parser.add_argument("--touching", nargs="+", default=[], metavar="NAME")
    given = parser.parse_args()
    print(*_report(sources(given.revision), given.touching), sep="\n")
