"""One strict INI file: sections as dataclasses, values with types, every error at once."""

from mixminion.config import values
from mixminion.config.dump import dump
from mixminion.config.errors import BadValue, ConfigErrors, Position, Problem
from mixminion.config.parse import Config, Setting, parse
from mixminion.config.schema import option, section

__all__ = [
    "BadValue",
    "Config",
    "ConfigErrors",
    "Position",
    "Problem",
    "Setting",
    "dump",
    "option",
    "parse",
    "section",
    "values",
]
