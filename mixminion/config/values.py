"""The types of configuration values: how each is read, written, and named to people."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Generic, TypeVar

from mixminion.config.errors import BadValue
from mixminion.config.secret import SecretSource
from mixminion.util.hostport import HostPort, is_name

T = TypeVar("T")


def _as_it_is(value: T, home: Path) -> T:
    return value


@dataclass(frozen=True, slots=True)
class Value(Generic[T]):
    """One type of value.

    ``expected`` completes "expected ..."; ``parse`` raises :class:`ValueError` (with a
    sentence of its own in :class:`BadValue`); ``render`` writes what ``parse`` reads;
    ``place`` puts a relative path under the server's home.
    """

    expected: str
    parse: Callable[[str], T]
    render: Callable[[T], str] = str
    place: Callable[[T, Path], T] = _as_it_is
    adopt: Callable[[Any], Any] | None = None

    def read(self, text: str) -> T:
        """The value that *text* stands for; :class:`BadValue` says what was expected."""
        try:
            return self.parse(text)
        except BadValue:
            raise
        except ValueError as error:
            raise BadValue(f"expected {self.expected}") from error

    def default(self, value: Any) -> Any:
        """A default as the schema gives it: a text is read, anything else is a value already."""
        if self.adopt is not None:
            return self.adopt(value)
        return self.read(value) if isinstance(value, str) else value


def _line(text: str) -> str:
    if not text or "\n" in text:
        raise ValueError
    return text


text: Value[str] = Value("a text on one line", _line)
lines: Value[str] = Value("a text; further lines begin with a blank", lambda text: text)


def text_up_to(length: int) -> Value[str]:
    """A text on one line of at most *length* characters."""

    def parse(value: str) -> str:
        if len(value) > length:
            raise ValueError
        return _line(value)

    return Value(f"a text on one line, of at most {length} characters", parse)


def choice(*words: str) -> Value[str]:
    """One of *words*."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError
        return text

    return Value(" or ".join(filter(None, (", ".join(words[:-1]), words[-1]))), parse)


boolean: Value[bool] = Value(
    "yes or no",
    lambda text: {"yes": True, "no": False}[choice("yes", "no").parse(text)],
    lambda value: "yes" if value else "no",
)


def within(value: Value[T], minimum: T | None = None, maximum: T | None = None) -> Value[T]:
    """*value*, from *minimum* to *maximum*, both included."""
    low = [] if minimum is None else [f"at least {value.render(minimum)}"]
    high = [] if maximum is None else [f"at most {value.render(maximum)}"]
    ordered: Callable[[Any, Any], bool] = lambda a, b: a <= b  # noqa: E731

    def parse(text: str) -> T:
        result = value.parse(text)
        if minimum is not None and not ordered(minimum, result):
            raise ValueError
        if maximum is not None and not ordered(result, maximum):
            raise ValueError
        return result

    expected = f"{value.expected}, {' and '.join(low + high)}"
    return Value(expected, parse, value.render, value.place)


def _integer(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ValueError
    return int(text)


def integer(minimum: int | None = None, maximum: int | None = None) -> Value[int]:
    """A whole number."""
    plain: Value[int] = Value("a whole number", _integer)
    return plain if minimum is None and maximum is None else within(plain, minimum, maximum)


_MOST = 10**15  #: above all numbers that are read

_DURATIONS: dict[str, Fraction | int] = {
    "s": 1, "second": 1, "ms": Fraction(1, 1000), "millisecond": Fraction(1, 1000),
    "min": 60, "minute": 60, "h": 3600, "hour": 3600,
    "d": 86400, "day": 86400, "week": 604800,
}  # fmt: skip
_SIZES: dict[str, int] = {
    "B": 1, "octet": 1,
    "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip


def _measure(text: str, units: Mapping[str, Fraction | int]) -> Fraction:
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([A-Za-z]+)", text, re.ASCII)
    if match is None:
        raise ValueError
    unit = match[2] if match[2] in units else match[2].removesuffix("s")
    if unit not in units:
        raise ValueError
    return Fraction(match[1]) * units[unit]


def _size(text: str) -> int:
    octets = _measure(text, _SIZES)
    if octets.denominator != 1:
        raise ValueError
    return int(octets)


def _render_measure(
    value: float, whole: tuple[tuple[str, int], ...], units: Mapping[str, Fraction | int]
) -> str:
    """In the first unit of *whole* that it is a multiple of; else in the first of *units*, of
    which the first is the usual one, in which just this value can be written."""
    exact = Fraction(value)
    for unit, worth in whole:
        if exact and exact % worth == 0 and exact < _MOST * worth:
            return f"{exact // worth} {unit}"
    for unit, parts in units.items():
        millionths = min(round(exact / parts * 10**6), _MOST * 10**6 - 1)
        read = Fraction(millionths, 10**6) * parts
        if value == (read if isinstance(value, int) else float(read)):
            number, rest = divmod(millionths, 10**6)
            return f"{number}.{rest:06d}".rstrip("0").rstrip(".") + f" {unit}"
    return f"{value} {next(iter(units))}"


duration: Value[float] = Value(
    "a time such as 30 s, 4 minutes, 2 hours or 7 days",
    lambda text: float(_measure(text, _DURATIONS)),
    lambda value: _render_measure(
        value, (("days", 86400), ("hours", 3600), ("min", 60), ("s", 1)), _DURATIONS
    ),
)
"""Seconds."""

size: Value[int] = Value(
    "a size such as 32 KiB, 500 MB or 1.5 GB",
    _size,
    lambda value: _render_measure(
        value,
        tuple(
            (unit, _SIZES[unit])
            for unit in ("TB", "TiB", "GB", "GiB", "MB", "MiB", "KB", "KiB", "B")
        ),
        _SIZES,
    ),
)
"""Octets."""


def _path(text: str) -> Path:
    if text.startswith("~"):
        raise BadValue("~ is not expanded: expected a full path, or one relative to the home")
    return Path(_line(text))


path: Value[Path] = Value(
    "a path, relative ones under the home", _path, str, lambda value, home: home / value
)
home: Value[Path] = Value(
    "a folder, relative ones beside the configuration file",
    _path,
    str,
    lambda value, beside: beside / value,
)
"""The value of this type is the :attr:`Config.home` that other paths are relative to."""


secret: Value[SecretSource] = Value(
    "where a secret comes from: file PATH, descriptor NUMBER or prompt",
    SecretSource.parse,
    str,
    SecretSource.under,
)


def _host_port(text: str) -> HostPort:
    try:
        result = HostPort.parse(text)
    except ValueError as error:
        raise BadValue(f"expected {host_port.expected}: {error}") from error
    if result.port == 0:
        raise BadValue("a port is a number from 1 to 65535")
    return result


host_port: Value[HostPort] = Value("a host and a port such as 192.0.2.1:48099", _host_port)


def _listener(text: str) -> HostPort:
    try:
        result = HostPort.parse(text)
    except ValueError as error:
        raise BadValue(f"expected {listener.expected}: {error}") from error
    if result.address is None:
        raise BadValue(f"expected {listener.expected}, not a name")
    return result


listener: Value[HostPort] = Value(
    "an IP address and a port such as 0.0.0.0:48099 or [::]:48099", _listener
)
"""Port 0 takes any free port."""


def list_of(item: Value[T]) -> Value[tuple[T, ...]]:
    """Items separated by commas or line ends; an empty value is an empty list."""

    def parse(text: str) -> tuple[T, ...]:
        parts = [part.strip() for part in text.replace("\n", ",").split(",")]
        items = tuple(item.read(part) for part in parts if part)
        if len(set(items)) != len(items):
            raise BadValue("an item stands in the list twice")
        return items

    def adopt(value: Any) -> tuple[T, ...]:
        if isinstance(value, str):
            return parse(value)
        return tuple(item.default(each) for each in value)

    return Value(
        f"a list, separated by commas, of: {item.expected}",
        parse,
        lambda value: ", ".join(item.render(each) for each in value),
        lambda value, home: tuple(item.place(each, home) for each in value),
        adopt,
    )


def _matching(pattern: str, expected: str) -> Value[str]:
    form = re.compile(pattern, re.ASCII)

    def parse(text: str) -> str:
        if not form.fullmatch(text):
            raise ValueError
        return text

    return Value(expected, parse)


nickname: Value[str] = _matching(
    r"[A-Za-z][A-Za-z0-9_-]{0,19}",
    "a nickname: 1 to 20 letters, digits, - and _, a letter first",
)

url: Value[str] = _matching(
    r"https?://[A-Za-z0-9.:\[\]_-]+(/[!-~]*)?", "an address such as http://192.0.2.1:8080/"
)


def hex_key(octets: int = 32) -> Value[bytes]:
    """A public key of *octets* octets in hexadecimal."""

    def parse(text: str) -> bytes:
        if not re.fullmatch(rf"[0-9A-Fa-f]{{{2 * octets}}}", text):
            raise ValueError
        return bytes.fromhex(text)

    return Value(f"a public key of {2 * octets} hexadecimal digits", parse, bytes.hex)


def _mail_domain(text: str) -> str:
    name = text.lower()
    if "." not in name or name.endswith(".") or not is_name(name):
        raise ValueError
    return name


mail_domain: Value[str] = Value("a mail domain such as mix.example", _mail_domain)
