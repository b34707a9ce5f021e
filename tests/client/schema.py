"""As much of JSON Schema (draft 2020-12) as the project's own schemas use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
_KNOWN = {
    *("type", "const", "enum", "pattern", "minimum", "properties", "required", "items", "oneOf"),
    *("$ref", "$defs", "$schema", "title", "description"),
}


class Schema:
    """One schema; ``errors`` says what is wrong with a value."""

    def __init__(self, text: Mapping[str, Any]) -> None:
        self._root = text

    def errors(self, value: Any) -> list[str]:
        """Where *value* is not as the schema says."""
        return list(self._errors(self._root, value, "$"))

    def _errors(self, schema: Mapping[str, Any], value: Any, at: str) -> Iterator[str]:
        assert schema.keys() <= _KNOWN, schema.keys() - _KNOWN
        if "$ref" in schema:
            yield from self._errors(self._definition(schema["$ref"]), value, at)
        if "type" in schema and not _is(value, schema["type"]):
            yield f"{at}: {value!r} is no {schema['type']}"
            return
        if "const" in schema and value != schema["const"]:
            yield f"{at}: {value!r} is not {schema['const']!r}"
        if "enum" in schema and value not in schema["enum"]:
            yield f"{at}: {value!r} is none of {schema['enum']}"
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"{at}: {value!r} does not match {schema['pattern']}"
        if "minimum" in schema and value < schema["minimum"]:
            yield f"{at}: {value!r} is less than {schema['minimum']}"
        for name in schema.get("required", ()):
            if name not in value:
                yield f"{at}: {name} is missing"
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                yield from self._errors(inner, value[name], f"{at}.{name}")
        for number, item in enumerate(value if "items" in schema else ()):
            yield from self._errors(schema["items"], item, f"{at}[{number}]")
        if "oneOf" in schema:
            found = [list(self._errors(each, value, at)) for each in schema["oneOf"]]
            if sum(not errors for errors in found) != 1:
                yield min((each for each in found if each), key=len, default=[f"{at}: twice"])[0]

    def _definition(self, reference: str) -> Any:
        found: Any = self._root
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        return found


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES[name])
