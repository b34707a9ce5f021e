"""What can go wrong with imported servers and kept entries, each with the sentence people read."""

from __future__ import annotations

from mixminion.errors import EX_DATAERR, UserError


class NotADescriptor(UserError):
    """A file that is no server's descriptor, or not one that holds now."""

    code = "not-a-descriptor"
    sentence = (
        "That is no descriptor of a server that can be used now ({why}); ask the server's operator"
        " for the file `descriptor` in the server's folder `keys`."
    )
    exit_code = EX_DATAERR


class NameTaken(UserError):
    """A nickname that another server has."""

    code = "name-taken"
    sentence = (
        "{where} another server named {name}; nothing was imported: a path could not tell the two."
    )


class AlreadyImported(UserError):
    """An older descriptor of a server that was imported."""

    code = "already-imported"
    sentence = "A newer descriptor of {name} has been imported already; nothing was changed."


class NotImported(UserError):
    """Nobody of that nickname was imported."""

    code = "not-imported"
    sentence = (
        "No server named {name!r} has been imported; `mixminion import-server --list` shows those"
        " that have."
    )


class NotAnEntry(UserError):
    """A nickname of no entry."""

    code = "not-an-entry"
    sentence = (
        "You keep no entry named {name!r}; `mixminion entries list` shows those that you keep."
    )
