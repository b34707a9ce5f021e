"""A disk that forgets what was not synced.

Processes that are started with :attr:`Disk.environment` have ``shim.c`` preloaded, which
keeps, beside everything below a folder, a shadow that only synced writes reach.
:meth:`Disk.lose` then does to that folder what a power loss does.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path

PAGE = 4096
STRIDE = 2**20  #: octets compared at once
SHIM = Path(__file__).with_name("shim.c")


def build(folder: Path) -> Path:
    """Compile the shim into *folder*."""
    library = folder / "shim.so"
    command = ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*command, "-o", library, SHIM, "-ldl", "-lpthread"], check=True)
    return library


class Disk:
    """What is below *root*, with its shadow in *shadow*, a folder on the same file system.

    *swallow*: nothing is ever synced, and everybody is told that it is.
    """

    def __init__(self, root: Path, shadow: Path, *, swallow: bool = False) -> None:
        self.root = root.resolve()
        self._shadow = shadow.resolve()
        self._swallow = swallow
        for name in ("tree", "objects"):
            (self._shadow / name).mkdir(parents=True, exist_ok=True)
        self._library = build(self._shadow)
        self.settle(self.root)

    @property
    def environment(self) -> dict[str, str]:
        """For the processes whose writes are looked after."""
        return {
            "LD_PRELOAD": os.fspath(self._library),
            "DISK_ROOT": os.fspath(self.root),
            "DISK_SHADOW": os.fspath(self._shadow),
        } | ({"DISK_SWALLOW": "1"} if self._swallow else {})

    def settle(self, folder: Path) -> None:
        """All that is in *folder*, and its names, are on the disk now."""
        tree = self._tree(folder)
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir(parents=True)
        for path in _files(folder):
            kept = self._tree(path)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, kept)
            self._know(path, kept)
        for path in folder.rglob("*"):
            if path.is_dir():
                self._tree(path).mkdir(exist_ok=True)

    def lose(
        self,
        folder: Path,
        torn: random.Random | None = None,
        keep: Collection[str] = (),
    ) -> int:
        """A power loss: *folder* is as the disk has it; how many pages that changed.

        No process may have it open.  Of the pages that were written and not synced none
        survives; with *torn* each does or does not, and so do names.  Files called as one
        of *keep* stay as they are.
        """
        lost = 0
        kept = {self._tree(path): path for path in _files(folder) if path.name not in keep}
        durable = {path for path in _files(self._tree(folder)) if path.name not in keep}
        for shadow in durable | set(kept):
            path = self.root / shadow.relative_to(self._shadow / "tree")
            written = self._object(path) if path.exists() else None
            same = shadow.exists() and written is not None and _same(shadow, written)
            if not same and torn is not None and written is not None and torn.random() < 0.5:
                shadow.unlink(missing_ok=True)
                shadow.parent.mkdir(parents=True, exist_ok=True)
                os.link(written, shadow)
                same = True
            if same:
                lost += _mix(path, shadow, torn)
                continue
            if path.exists():
                lost += -(-path.stat().st_size // PAGE)
                path.unlink()
            if shadow.exists():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                shutil.copyfile(shadow, path)
                path.chmod(0o600)
                self._know(path, shadow)
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_dir() and not self._tree(path).is_dir() and not any(path.iterdir()):
                path.rmdir()
        return lost

    # -- inside ------------------------------------------------------------------------------

    def _tree(self, path: Path) -> Path:
        return self._shadow / "tree" / path.resolve().relative_to(self.root)

    def _object(self, path: Path) -> Path:
        """What of the file at *path* has been synced; made empty if nothing has."""
        object = self._shadow / "objects" / str(path.stat().st_ino)
        object.touch()
        return object

    def _know(self, path: Path, kept: Path) -> None:
        """*kept* is from now on the synced content of the file at *path*."""
        object = self._shadow / "objects" / str(path.stat().st_ino)
        object.unlink(missing_ok=True)
        os.link(kept, object)


def _files(folder: Path) -> Iterator[Path]:
    """The ordinary files below *folder*."""
    for above, _, names in os.walk(folder):
        for name in names:
            path = Path(above, name)
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


def _same(one: Path, other: Path) -> bool:
    return one.stat().st_ino == other.stat().st_ino


def _mix(path: Path, shadow: Path, torn: random.Random | None) -> int:
    """Make *path* and *shadow* the same; how many pages of *path* did not survive."""
    lost = 0
    with open(path, "r+b") as written, open(shadow, "r+b") as synced:
        end, size = os.fstat(written.fileno()).st_size, os.fstat(synced.fileno()).st_size
        for at in range(0, max(end, size), STRIDE):
            new = os.pread(written.fileno(), STRIDE, at)
            old = os.pread(synced.fileno(), STRIDE, at)
            if new == old:
                continue
            for offset in range(0, max(len(new), len(old)), PAGE):
                fresh, before = new[offset : offset + PAGE], old[offset : offset + PAGE]
                if fresh == before:
                    continue
                survives = torn is not None and len(fresh) >= len(before) and torn.random() < 0.5
                if survives:
                    os.pwrite(synced.fileno(), fresh, at + offset)
                else:
                    lost += 1
                    os.pwrite(written.fileno(), before.ljust(len(fresh), b"\0"), at + offset)
        survived = os.fstat(synced.fileno()).st_size
        os.ftruncate(written.fileno(), survived)
        return lost
