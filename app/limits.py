"""What an explorer on a shared server may load: one TOML file, given by `arithmoscope explore`.

    folders = ["/srv/models"]   # folders and files typed in must lie in one of these
    hub = false                 # whether ids of the Hugging Face Hub may be typed in
    gigabytes = 2.0             # of a model's weights, on disk
    problems = 4096             # of a sample
    seconds = 600               # of one computation

What the file leaves out is not limited. Models that come with arithmoscope may always be loaded.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interp.errors import InputError, nearest

MOST = 100_000  # problems of a sample, where no file says otherwise
_VALUES = {
    "folders": "a list of folders",
    "hub": "true or false",
    "gigabytes": "a number above 0",
    "problems": "a whole number above 0",
    "seconds": "a number above 0",
}


@dataclass(frozen=True)
class Limits:
    """What may be loaded, and how large a sample may be. None: no limit."""

    folders: tuple[Path, ...] | None = None
    hub: bool = True
    gigabytes: float | None = None
    problems: int = MOST
    seconds: float | None = None

    @classmethod
    def read(cls, path: str | Path) -> Limits:
        """The limits of a file.

        Raises:
            InputError: where it cannot be read, or has a name or value that is none of these.
        """
        try:
            found = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InputError(f"cannot read the limits in {path}: {error}") from error
        for name, value in found.items():
            if name not in _VALUES:
                raise InputError(
                    f"{path}: no limit {name!r}; the nearest is {nearest(name, _VALUES)}"
                )
            if not _fits(name, value):
                raise InputError(
                    f"{path}: {name} = {value!r} is none of its values: {_VALUES[name]}"
                )
        if "folders" in found:
            found["folders"] = tuple(Path(one).expanduser().resolve() for one in found["folders"])
        return cls(**found)

    def check(self, name: str, shipped: bool) -> None:
        """Raise InputError for a model that may not be loaded here; it is not touched."""
        if shipped:
            return
        path = Path(name).expanduser()
        if not path.exists():
            if not self.hub:
                raise InputError(
                    f"{name!r} is no folder here, and this explorer loads nothing from the Hub: "
                    "ask whoever runs it, or run your own (arithmoscope explore)"
                )
            return
        real = path.resolve()
        if self.folders is not None and not any(real.is_relative_to(one) for one in self.folders):
            raise InputError(
                f"{name!r} lies outside the folders that this explorer may read "
                f"({', '.join(map(str, self.folders)) or 'none'}): put it there, or run "
                "your own explorer (arithmoscope explore)"
            )
        size = _gigabytes(real)
        if self.gigabytes is not None and size > self.gigabytes:
            raise InputError(
                f"{name!r} has {size:.2g} GB of weights; this explorer loads at most "
                f"{self.gigabytes:g} GB: choose a smaller model, or run your own explorer"
            )


def _fits(name: str, value: Any) -> bool:
    if name == "hub":
        return isinstance(value, bool)
    if name == "folders":
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    number = isinstance(value, int if name == "problems" else int | float)
    return number and not isinstance(value, bool) and value > 0


def _gigabytes(path: Path) -> float:
    files = [path] if path.is_file() else [*path.rglob("*.safetensors"), *path.rglob("*.gguf")]
    return sum(file.stat().st_size for file in files) / 1e9
