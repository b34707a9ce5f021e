"""Why an authority does not take a descriptor, one sentence each: what its operator reads."""

from __future__ import annotations

from mixminion.errors import PeerError


class Refused(PeerError):
    """A descriptor that is not taken; the one that is held, if any, stays."""

    code = "descriptor-refused"
    sentence = "The descriptor is refused ({code})."


class NotSigned(Refused):
    """Not signed by the identity it names.  Field: ``problem``."""

    code = "descriptor-not-signed"
    sentence = (
        "The descriptor is not signed as it must be ({problem}): make a new signing key with"
        " `mixminion server certify`, and start the server again."
    )


class Ended(Refused):
    """The descriptor or the signing key's certificate has ended.  Field: ``ended``."""

    code = "descriptor-ended"
    sentence = (
        "The descriptor, or its signing key's certificate, ended at {ended}: check the server's"
        " clock, then make a new one with `mixminion server certify`."
    )


class Early(Refused):
    """It begins later.  Field: ``begins``."""

    code = "descriptor-early"
    sentence = (
        "The descriptor, or its signing key's certificate, begins only at {begins}: check the"
        " server's clock."
    )


class FromTheFuture(Refused):
    """Made at a time that has not come.  Field: ``minutes``."""

    code = "descriptor-from-the-future"
    sentence = (
        "The descriptor was made {minutes} minutes from now by this authority's clock: set the"
        " server's clock (for example with an NTP client)."
    )


class OtherName(Refused):
    """An identity with a new nickname.  Field: ``name``, the old one."""

    code = "nickname-changed"
    sentence = (
        "This server is known as {name}, and a server keeps its name: put it back into the"
        " configuration, or make a new server with a new identity."
    )


class NameTaken(Refused):
    """The nickname is another identity's.  Fields: ``name``, ``identity``."""

    code = "nickname-taken"
    sentence = (
        "The name {name} belongs to another server (identity {identity}...), which had it first:"
        " choose another nickname."
    )


class Restored(Refused):
    """A start number below the last one.  Fields: ``start``, ``known``."""

    code = "restored-or-cloned"
    sentence = (
        "The descriptor is of the store's start {start}, and start {known} was published before:"
        " the server was restored from a copy, or runs twice. Stop the other one; the store's"
        " files must never be put back."
    )


class Older(Refused):
    """Made before the one that is held.  Fields: ``published``, ``held``."""

    code = "descriptor-older"
    sentence = (
        "The descriptor was made at {published}, before the one of {held} that is held:"
        " publish the newest one; if it is, the server's clock went back."
    )


class TwoDescriptors(Refused):
    """Another one of the same start and second."""

    code = "two-descriptors"
    sentence = (
        "There are two descriptors of this server for {published}: it seems to run twice."
        " Stop one of them."
    )


class KeysChanged(Refused):
    """Another packet key for a published period, in the same start.  Field: ``period``."""

    code = "packet-key-changed"
    sentence = (
        "The packet key of key period {period} was published before and is another one now; keys"
        " change only when the server is started again: do that, and publish then."
    )


class NoProtocol(Refused):
    """It does not speak our protocol.  Field: ``protocol``."""

    code = "protocol-missing"
    sentence = "The server does not speak {protocol}: install a newer release of Mixminion."


class NoKeys(Refused):
    """No packet key of the network's suite.  Fields: ``suite``, ``period``."""

    code = "packet-keys-not-published"
    sentence = (
        "The descriptor has no packet key of suite {suite} for key period {period} or the next"
        " ones: check the server's clock, and start it again so that it makes its keys."
    )


class NotReachable(Refused):
    """An address that nobody can reach.  Field: ``address``."""

    code = "address-not-public"
    sentence = (
        "The address {address} cannot be reached from elsewhere: publish one that others reach, in"
        " [Incoming] addresses."
    )


class OperatorFull(Refused):
    """Too many servers of one operator.  Fields: ``operator``, ``most``."""

    code = "too-many-of-operator"
    sentence = (
        "This authority lists no more than {most} servers of one operator, and has as many with"
        " the {operator}: ask its operator."
    )


class NetworkFull(Refused):
    """Too many servers in one network.  Fields: ``network``, ``most``."""

    code = "too-many-of-network"
    sentence = (
        "This authority lists no more than {most} servers of one network, and has as many in"
        " {network}: run this one elsewhere."
    )


class QueueFull(Refused):
    """Too many newcomers.  Field: ``most``."""

    code = "too-many-waiting"
    sentence = "{most} new servers wait here already: publish again some days later."


class NoExitYet(Refused):
    """A new server that wants to be an exit.  Fields: ``exits``, ``when``."""

    code = "exit-too-early"
    sentence = (
        "New servers begin without exits here, and this one offers {exits}: take its exit"
        " sections out of the configuration {when}, or ask this authority's operator."
    )


class TurnedAway(Refused):
    """Banned, or rejected.  Field: ``reason``, the operator's."""

    code = "turned-away"
    sentence = "{reason}"
