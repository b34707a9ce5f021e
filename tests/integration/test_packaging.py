"""Installed as users and developers do: from a source package, and editable from a clone."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from mixminion import __version__
from mixminion.testing.cases import SyncTestCase
from tests.source import ROOT

NOT_SOURCE = shutil.ignore_patterns(
    *(".git", ".venv", ".tox", "build", "dist", "*.egg-info", "__pycache__", "_trial_temp*"),
    *("dropin.cache", ".mypy_cache", ".ruff_cache", ".hypothesis"),
)
IN_SOURCE_PACKAGE = [
    *("LICENSE", "NEWS.rst", "README.rst", "CONTRIBUTING.rst", "SECURITY.md", "Makefile"),
    *("setup.cfg", "pyproject.toml", ".ruff.toml", "towncrier.toml", "tox.ini", ".ci/run"),
    *("mixminion/py.typed", "mixminion/interfaces.py", "twisted/plugins/mixminion_service.py"),
    *("tests/__init__.py", "tests/integration/test_packaging.py", "doc/spec/packet.rst"),
    *("contrib/initd/mixminion", "contrib/initd/mixminiond.conf", "newsfragments/README.rst"),
]
BUILD_SDIST = "from setuptools.build_meta import build_sdist; print(build_sdist('dist'))"


def run(*command: object, cwd: Path) -> str:
    """The output of *command*; raises with everything it said when it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


class InstallTests(SyncTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.source = self.folder / "source"
        shutil.copytree(ROOT, self.source, ignore=NOT_SOURCE)
        self.elsewhere = self.folder / "elsewhere"
        self.elsewhere.mkdir()
        self.bin = self.folder / "venv" / "bin"
        run(sys.executable, "-m", "venv", self.folder / "venv", cwd=self.folder)

    def tearDown(self) -> None:
        shutil.rmtree(self.folder)

    def pip(self, *arguments: object) -> None:
        pip = (self.bin / "python", "-m", "pip", "--disable-pip-version-check")
        run(*pip, "install", "--quiet", *arguments, cwd=self.elsewhere)

    def check_installed(self, where: Path) -> None:
        """The package is at *where*, and its commands work from any folder."""
        script = "import mixminion; print(mixminion.__file__)"
        found = run(self.bin / "python", "-c", script, cwd=self.elsewhere)
        self.assertTrue(Path(found.strip()).is_relative_to(where), found)
        daemons = run(self.bin / "twistd", "--help", cwd=self.elsewhere)
        self.assertRegex(daemons, r"(?m)^ +mixminion +A Mixminion mix server")
        options = run(self.bin / "twistd", "mixminion", "--help", cwd=self.elsewhere)
        self.assertIn("--config", options)
        for command in ([self.bin / "mixminion"], [self.bin / "python", "-m", "mixminion"]):
            self.assertIn(__version__, run(*command, "version", cwd=self.elsewhere))
        requirements = run(self.bin / "python", "-m", "pip", "check", cwd=self.elsewhere)
        self.assertIn("No broken requirements", requirements)

    def test_from_a_source_package(self) -> None:
        """The source package has all it must and nothing that was made, and installs."""
        self.pip("setuptools>=77")
        built = run(self.bin / "python", "-c", BUILD_SDIST, cwd=self.source).split()[-1]
        with tarfile.open(self.source / "dist" / built) as package:
            names = {name.partition("/")[2] for name in package.getnames()}
        self.assertEqual([name for name in IN_SOURCE_PACKAGE if name not in names], [])
        made = [n for n in names if n.endswith((".pyc", "dropin.cache")) or n.startswith(".venv")]
        self.assertEqual(made, [])
        self.pip(self.source / "dist" / built)
        self.check_installed(self.folder / "venv")

    def test_editable(self) -> None:
        """An editable installation finds the plugins, and the code where it is edited."""
        self.pip("--editable", self.source)
        self.check_installed(self.source)
