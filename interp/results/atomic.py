"""Atomic writes: a reader sees the old file or the new one, never a partial one.

A file is written under a temporary name beside its target, flushed to the disk and renamed over it;
a folder is filled beside its target and renamed, or emptied into it file by file. When the disk
fills up, a limit is hit or the process is interrupted, what was written so far is removed and the
target is as it was before. A full disk can only strike while the temporary copy is written: a
rename needs no space.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from interp.errors import StorageError

_REMEDIES = {
    errno.ENOSPC: "the disk is full: free some space or save to another folder",
    errno.EDQUOT: "the disk quota is used up: free some space or save to another folder",
    errno.EFBIG: "the file grew past the allowed size (ulimit -f): raise it or save fewer prompts",
    errno.EROFS: "the disk is read-only: save to another folder",
    errno.EACCES: "no permission to write there: save to a folder of your own",
    errno.EPERM: "no permission to write there: save to a folder of your own",
    errno.ENOTDIR: "a part of that path is a file: save to another folder",
    errno.EEXIST: "a file of that name is in the way: save to another folder",
    errno.EISDIR: "a folder of that name is in the way: save under another name",
    errno.ENAMETOOLONG: "the name is too long for this disk: choose a shorter one",
    errno.EIO: "the disk failed: save to another one",
}


def write_atomic(path: str | Path, content: bytes | Callable[[BinaryIO], None]) -> Path:
    """Write a file atomically and return its path.

    Args:
        path: the file; missing folders above it are made.
        content: its bytes, or a function that writes them to the open binary file it is given.

    Raises:
        StorageError: if it cannot be written (disk full, no permission, …); the message says what
            to do, the file is as it was before and no temporary file is left.
    """
    path = Path(path)
    with _refusing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _beside(path)
        try:
            with temporary.open("xb") as file:
                _fill(file, content)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    return path


@contextmanager
def folder_atomic(path: str | Path) -> Iterator[Path]:
    """Fill a folder atomically: `with folder_atomic("out") as folder: …`.

    Yields an empty temporary folder beside `path`. When the block ends well, it takes the place of
    `path`; where `path` already holds files, those of the same name are replaced and the others are
    left alone, since they may be the user's. When the block raises, nothing of it is left.

    Raises:
        StorageError: as `write_atomic`.
    """
    path = Path(path)
    with _refusing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _beside(path)
        temporary.mkdir()
        try:
            yield temporary
            _sync_tree(temporary)
            _move(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        _sync_folder(path.parent)


def _beside(path: Path) -> Path:
    # On the target's file system: across file systems a rename is a copy.
    return path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.tmp")


def _fill(file: BinaryIO, content: bytes | Callable[[BinaryIO], None]) -> None:
    if callable(content):
        content(file)
    else:
        file.write(content)
    file.flush()
    os.fsync(file.fileno())


def _move(temporary: Path, path: Path) -> None:
    if path.is_dir() and any(path.iterdir()):
        for source in sorted(p for p in temporary.rglob("*") if p.is_file()):
            target = path / source.relative_to(temporary)
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
        shutil.rmtree(temporary)
    else:
        temporary.replace(path)


def _sync_tree(folder: Path) -> None:
    for file in (p for p in folder.rglob("*") if p.is_file()):
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    # Makes the rename itself survive a power cut; some file systems do not offer it for folders.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        reason = _REMEDIES.get(error.errno or 0)
        if reason is None:  # not a disk error: the caller's exception explains it
            raise
        raise StorageError(
            error.errno, f"cannot save {path}: {reason} (nothing was left half-written)"
        ) from error
