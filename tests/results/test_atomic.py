import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from interp.errors import StorageError
from interp.results.atomic import folder_atomic, write_atomic


def disk_full(*_args: object, **_options: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fill(path: Path, content: bytes, error: BaseException) -> None:
    with folder_atomic(path) as folder:
        (folder / "a").write_bytes(content)
        raise error


def everything_in(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder, hidden ones included, with its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_writes_bytes_and_from_a_function(tmp_path):
    assert write_atomic(tmp_path / "new" / "a.bin", b"abc").read_bytes() == b"abc"
    write_atomic(tmp_path / "new" / "a.bin", lambda file: file.write(b"longer than before"))
    assert everything_in(tmp_path) == {"new": None, "new/a.bin": b"longer than before"}


def test_files_get_the_permissions_that_any_new_file_gets(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_atomic(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    write_atomic(tmp_path / "a.bin", b"old")
    if step == "fsync":
        monkeypatch.setattr(os, "fsync", disk_full)
    else:
        monkeypatch.setattr(Path, "replace", disk_full)
    with pytest.raises(StorageError, match=r"disk is full: free some space .*half-written"):
        write_atomic(tmp_path / "a.bin", b"new")
    assert everything_in(tmp_path) == {"a.bin": b"old"}


def test_storage_error_keeps_the_errno(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(StorageError) as caught:
        write_atomic(tmp_path / "a", b"x")
    assert caught.value.errno == errno.ENOSPC
    assert "\\" not in str(caught.value)


def test_an_interrupt_leaves_nothing(tmp_path):
    def interrupted(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "b", b"half", KeyboardInterrupt())
    assert everything_in(tmp_path) == {}


def test_a_file_in_the_way_says_so(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"part of that path is a file|file of that name"):
        write_atomic(tmp_path / "file" / "below", b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="folder of that name is in the way"):
        write_atomic(tmp_path / "folder", b"x")
    assert set(everything_in(tmp_path)) == {"file", "folder"}


def test_an_error_that_is_not_the_disks_passes_unchanged(tmp_path):
    with pytest.raises(ConnectionError), folder_atomic(tmp_path / "a"):
        raise ConnectionError("the network's fault")
    assert everything_in(tmp_path) == {}


def test_folder_appears_whole(tmp_path):
    with folder_atomic(tmp_path / "out") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "a").write_bytes(b"1")
        assert not (tmp_path / "out").exists()
    assert everything_in(tmp_path / "out") == {"deep": None, "deep/a": b"1"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_folder_keeps_what_others_put_there(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_bytes(b"keep")
    for content in (b"1", b"2"):
        with folder_atomic(tmp_path / "out") as folder:
            (folder / "deep").mkdir()
            (folder / "deep" / "a").write_bytes(content)
    assert everything_in(tmp_path / "out") == {"mine.txt": b"keep", "deep": None, "deep/a": b"2"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_full_disk_while_filling_a_folder(tmp_path):
    with folder_atomic(tmp_path / "out") as folder:
        (folder / "a").write_bytes(b"old")
    with pytest.raises(StorageError, match="disk is full"):
        fill(tmp_path / "out", b"new", OSError(errno.ENOSPC, "no space"))
    assert everything_in(tmp_path) == {"out": None, "out/a": b"old"}


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
from interp.errors import StorageError
from interp.results import write_atomic
try:
    write_atomic(sys.argv[1], bytes(100_000))
except StorageError as error:
    print(error)
"""


def test_a_real_limit_on_file_size(tmp_path):
    """Not a patched function: the kernel itself refuses to write past the limit."""
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "a")], capture_output=True, text=True
    )
    assert "grew past the allowed size" in run.stdout, run.stderr
    assert everything_in(tmp_path) == {}
