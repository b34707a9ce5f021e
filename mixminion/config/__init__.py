"""One strict INI file: sections as dataclasses, values with types, every error at once."""

from mixminion.config import values
from mixminion.config.errors import BadValue, ConfigErrors, Position, Problem
from mixminion.config.parse import Config, parse
from mixminion.config.schema import option, section

__all__ = [
    "BadValue",
    "Config",
    "ConfigErrors",
    "Position",
    "Problem",
    "option",
    "parse",
    "section",
    "values",
]
