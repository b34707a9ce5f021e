"""An exit that puts every message into a file of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zope.interface import implementer

from mixminion.config import option, section, values
from mixminion.errors import OperatorError
from mixminion.exits.section import ExitSection
from mixminion.exits.threads import Executor, Threads
from mixminion.interfaces import ExitEnvironment, IExit, Message, Outcome, OutcomeKind


# [section]
@section("Exit", named=True)
class Section(ExitSection):
    """Messages as files, for a program that takes them from there."""

    folder: Path = option(values.path, doc="Where they are put; its parent has to be there.")
    ending: str = option(
        values.choice("eml", "txt"), default="eml", doc="What the files' names end in."
    )
    most_files: int = option(
        values.integer(1, 100_000), default=1000, doc="With so many files messages wait."
    )
    max_message: int = option(
        values.within(values.size, 1, 1 << 20), default="32 KiB", doc="The longest; published."
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """What only several keys together show."""
        yield from ExitSection.problems(self)
        if self.most_files < self.concurrency:
            yield "most-files", "expected at least concurrency"


# [errors]
class NoParent(OperatorError):
    """The folder's parent is not there.  Field: ``path``."""

    code = "shelf-no-parent"
    sentence = "The folder {path} is not there; the shelf is made in it."


# [exit]
@implementer(IExit)
class Shelf:
    """One folder."""

    domain = None

    def __init__(self, name: str, section: Section, executor: Executor) -> None:
        self.name = name
        self.policy = section.policy
        self._section = section
        self._executor = executor

    def describe(self) -> Mapping[str, Any]:
        """See :class:`IExit`."""
        return {"module": "shelf", "max-message": self._section.max_message}

    def check(self, recipients: Sequence[str], content: bytes, reply: bool) -> str | None:
        """See :class:`IExit`; recipients are ignored."""
        if reply:
            return "no-replies"
        return "too-large" if len(content) > self._section.max_message else None

    async def start(self) -> None:
        """See :class:`IExit`."""
        await self._executor(lambda: self._section.folder.mkdir(exist_ok=True))

    async def stop(self) -> None:
        """Nothing to let go of."""

    async def deliver(self, message: Message) -> Outcome:
        """See :class:`IExit`; what blocks is done in another thread."""
        return await self._executor(lambda: self._put(message))

    # [work]
    def _put(self, message: Message) -> Outcome:
        folder = self._section.folder
        path = folder / f"{message.message_id.strip('<>')}.{self._section.ending}"
        if path.exists():  # handed over before, and the server did not live to note it
            return Outcome(OutcomeKind.DELIVERED, "shelved")
        if len(os.listdir(folder)) >= self._section.most_files:
            return Outcome(OutcomeKind.TEMPORARY, "shelf-full")
        new = folder / f"{path.name}.new"
        with new.open("wb") as file:
            file.write(message.content)
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
        return Outcome(OutcomeKind.DELIVERED, "shelved")


# [make]
def make(name: str, section: Section, environment: ExitEnvironment) -> Shelf:
    """See :class:`mixminion.interfaces.IExitModule`.

    :raises NoParent: the configuration is good, and what it names is not.
    """
    if not section.folder.parent.is_dir():
        raise NoParent(path=section.folder.parent)
    return Shelf(name, section, Threads(environment.reactor))
