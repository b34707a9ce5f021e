"""What ``mixminion.api`` offers, as values that can be kept and compared.

``python -m tests.api.surface --record`` writes down what has been added since the last time; it
refuses when something has gone or changed.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import json
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mixminion
from mixminion import api
from mixminion.errors import MixminionError

VERSION = 2
RECORD = Path(__file__).with_name(f"mixminion-api-{VERSION}.json")
ALLOWED = Path(__file__).with_name("deprecated.json")
"""What may be missing: names that were deprecated for a whole release, each with that release."""

ROOMS = [[room] for room in ("client", "paths", "dirhttp", "directory", "net", "errors")]
"""Where errors are raised that a program may see."""

Surface = dict[str, Any]


def surface() -> Surface:
    """Names, signatures, fields, members, event types and error codes."""
    return {
        "names": {name: _described(getattr(api, name)) for name in sorted(api.__all__)},
        "events": sorted(each.__name__ for each in api.Event.__args__),
        "errors": dict(sorted(_errors())),
    }


def _described(thing: Any) -> Surface:
    if inspect.isclass(thing):
        found: Surface = {"kind": "class"}
        if issubclass(thing, enum.Enum):
            return found | {"members": {each.name: each.value for each in thing}}
        if issubclass(thing, MixminionError):
            return found | {"code": thing.code, "bases": [each.code for each in _bases(thing)]}
        if dataclasses.is_dataclass(thing):
            found["fields"] = {each.name: str(each.type) for each in dataclasses.fields(thing)}
        else:
            found["makes"] = _signature(thing.__init__)
        return found | {"has": dict(_members(thing))}
    if inspect.isfunction(thing):
        return {"kind": "function", "signature": _signature(thing)}
    return {"kind": "value", "value": thing} if isinstance(thing, int) else {"kind": "other"}


def _bases(error: type[MixminionError]) -> Iterator[type[MixminionError]]:
    return (each for each in error.__mro__[1:] if issubclass(each, MixminionError))


def _members(owner: type) -> Iterator[tuple[str, Surface]]:
    for name in sorted(dir(owner)):
        if name.startswith("_") and name not in ("__aiter__", "__anext__"):
            continue
        where = next(each for each in owner.__mro__ if name in vars(each))
        if not where.__module__.startswith("mixminion."):
            continue  # Twisted's
        member = inspect.getattr_static(owner, name)
        if isinstance(member, property):
            yield name, {"kind": "property"}
        elif isinstance(member, staticmethod | classmethod):
            yield name, {"kind": "function", "signature": _signature(member.__func__)}
        elif inspect.isfunction(member):
            yield name, {"kind": "method", "signature": _signature(member)}


def _signature(function: Any) -> Surface:
    parameters = list(inspect.signature(function).parameters.values())
    return {
        "waits": inspect.iscoroutinefunction(function),
        "parameters": [
            {
                "name": each.name,
                "kind": each.kind.name,
                "type": str(each.annotation) if each.annotation is not each.empty else "",
                "default": None if each.default is each.empty else repr(each.default)[:40],
            }
            for each in parameters
            if each.name not in ("self", "cls")
        ],
        "returns": str(inspect.signature(function).return_annotation),
    }


def _errors() -> Iterator[tuple[str, int]]:
    """Every code that a program may see, and the exit code that goes with it."""
    for module in pkgutil.walk_packages(mixminion.__path__, "mixminion."):
        if module.name.split(".")[1:2] in ROOMS:
            importlib.import_module(module.name)
    todo = [MixminionError]
    while todo:
        error = todo.pop()
        todo += error.__subclasses__()
        if "code" in vars(error) and error.__module__.split(".")[1:2] in ROOMS:
            yield error.code, error.exit_code


def broken(old: Surface, new: Surface) -> list[str]:
    """What a program written for *old* could miss in *new*: paths of names, in words."""
    found = [f"{name}: gone" for name in old["names"] if name not in new["names"]]
    found += [f"event {each}: gone" for each in old["events"] if each not in new["events"]]
    for code, exit_code in old["errors"].items():
        if code not in new["errors"]:
            found.append(f"error {code}: gone")
        elif new["errors"][code] != exit_code:
            found.append(f"error {code}: another exit code")
    for name, before in old["names"].items():
        if name in new["names"]:
            found += _changed(name, before, new["names"][name])
    return found


def _changed(name: str, old: Surface, new: Surface) -> Iterator[str]:
    if old["kind"] != new["kind"]:
        yield f"{name}: another kind of thing"
        return
    for part in ("fields", "members"):
        for each, value in old.get(part, {}).items():
            if each not in new.get(part, {}):
                yield f"{name}.{each}: gone"
            elif new[part][each] != value:
                yield f"{name}.{each}: changed"
    for part in ("code", "value"):
        if old.get(part) != new.get(part):
            yield f"{name}: another {part}"
    for base in old.get("bases", ()):
        if base not in new.get("bases", ()):
            yield f"{name}: no {base} any more"
    for each, before in old.get("has", {}).items():
        if each not in new.get("has", {}):
            yield f"{name}.{each}: gone"
        else:
            yield from _changed(f"{name}.{each}", before, new["has"][each])
    for part in ("makes", "signature"):
        if part in old:
            yield from _called(name, old[part], new.get(part) or old[part])


def _called(name: str, old: Surface, new: Surface) -> Iterator[str]:
    """Calls that were right and are not any more."""
    if old["waits"] != new["waits"] or old["returns"] != new["returns"]:
        yield f"{name}: returns something else"
    before = {each["name"]: each for each in old["parameters"]}
    after = {each["name"]: each for each in new["parameters"]}
    for each, parameter in before.items():
        if each not in after:
            yield f"{name}({each}): gone"
        elif {**after[each], "default": ""} != {**parameter, "default": ""}:
            yield f"{name}({each}): another type or place"
        elif parameter["default"] is not None and after[each]["default"] is None:
            yield f"{name}({each}): has to be given"
    places = [[n for n in names if n in before and n in after] for names in (before, after)]
    if places[0] != places[1]:
        yield f"{name}: its arguments are in another order"
    for each, parameter in after.items():
        variable = parameter["kind"].startswith("VAR_")
        if each not in before and parameter["default"] is None and not variable:
            yield f"{name}({each}): new, and has to be given"


def main() -> None:
    """The command."""
    new = surface()
    if RECORD.exists():
        problems = broken(json.loads(RECORD.read_text()), new)
        if problems and "--replace" not in sys.argv:
            sys.exit("Not recorded; programs would miss:\n" + "\n".join(problems))
    if "--record" in sys.argv:
        RECORD.write_text(json.dumps(new, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
