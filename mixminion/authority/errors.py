"""What can go wrong with an authority, for its operator."""

from __future__ import annotations

from mixminion.errors import EX_CANTCREAT, EX_CONFIG, OperatorError, UserError


class RegisterUnusable(OperatorError):
    """The register's file cannot be opened, read or written."""

    code = "register-unusable"
    sentence = "The register {path} cannot be used: {why}."
    exit_code = EX_CANTCREAT


class UnknownServer(UserError):
    """A command about a server that nobody has heard of."""

    code = "server-not-registered"
    sentence = (
        "This authority knows no server {name}: give a nickname that `mixminion authority servers`"
        " shows, or the 64 hexadecimal digits of an identity."
    )


class UnusableFigures(OperatorError):
    """A file of pinger figures that cannot be used."""

    code = "unusable-figures"
    sentence = "The figures in {path} cannot be used: {problem}."
    exit_code = EX_CONFIG
