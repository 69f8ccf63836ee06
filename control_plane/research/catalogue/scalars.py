"""Readings of a plain YAML scalar: by this site (YAML 1.2), and by YAML 1.1 readers such as PyYAML.

The versions read the same letters as different values: `on`, `no`, `12:30:00`, `010` and `1e5` are, in 1.1, a boolean, a boolean,
a base 60 number, a base 8 number and text; in 1.2 text, text, text, ten and a number.
Sources: yaml.org/type (1.1), yaml.org/spec/1.2.2 chapter 10 (1.2), and PyYAML's `resolver.py`, which leaves out `y` and `n`.
"""

import math
import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Literal

Kind = Literal["text", "bool", "int", "float", "null", "timestamp", "merge", "broken"]
Reading = tuple[Kind, Any]
YamlVersion = tuple[int, int]

MAX_DIGITS = 400
NEWEST_YAML: YamlVersion = (1, 2)

_ORDINARY = re.compile(r"-?(?:0|[1-9][0-9]*)")
_ORDINARY_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
# What begins otherwise is text in either version.
_FIRST = frozenset("-+.0123456789~nNtTfFyYoO=<")
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "True", "TRUE"))
_FALSE = frozenset(("false", "False", "FALSE"))
_ON = _TRUE | {"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"}
_OFF = _FALSE | {"n", "N", "no", "No", "NO", "off", "Off", "OFF"}
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_TIMESTAMP = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)(?:(?:[Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(?:\.(\d*))?(?:[ \t]*(?:(Z)|([-+])(\d\d?)(?::(\d\d))?))?)?",
    re.ASCII,
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INT_12 = re.compile(r"[-+]?(?:0b_*[01][01_]*|0o_*[0-7][0-7_]*|0x_*[0-9a-fA-F][0-9a-fA-F_]*|[0-9][0-9_]*)")
_FLOAT_12 = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?)"
)
_INT_11 = re.compile(r"[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*(?::[0-5]?[0-9])+)")
_FLOAT_11 = re.compile(
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*"
)
# Numbers to most readers of 1.2, and text to those that know its core schema alone.
_BEYOND_CORE = re.compile(r".*_|[-+]?0b|[-+]0[ox]")
# Text that ruamel.yaml reads as a number without digits.
_ODD = re.compile(r"[-+]?\.?_[0-9_]*")


class TooManyDigits(ValueError):
    """Number that is longer than MAX_DIGITS."""


def read_scalar(text: str, version: YamlVersion = NEWEST_YAML) -> Reading:
    """Read a plain scalar as this site does, by the YAML version of its document.

    Raises TooManyDigits if either version takes it for a number of more than MAX_DIGITS characters.
    """
    if text and text[0] not in _FIRST:
        return "text", text
    if len(text) > MAX_DIGITS and is_number(text):
        raise TooManyDigits
    return _read_11(text) if version == (1, 1) else _read_12(text)


def is_number(text: str) -> bool:
    """Tell whether readers of either version take it for a number."""
    return any(pattern.fullmatch(text) for pattern in (_INT_12, _FLOAT_12, _INT_11, _FLOAT_11))


def portable(text: str, reading: Reading, *, is_key: bool = False) -> str | None:
    """Return a spelling that YAML 1.1 and 1.2 readers read as this site does; None if the text is one already.

    Dates stay as they are: most readers of both versions know them, and the others take them for text.
    """
    kind, value = reading
    if (text and text[0] not in _FIRST) or kind == "timestamp" or _ORDINARY.fullmatch(text) or _ORDINARY_DECIMAL.fullmatch(text):
        return None
    if kind == "merge":
        return None if is_key else f"'{text}'"
    if kind == "text":
        is_plain = _alike(_read_11(text), reading) and _alike(_read_12(text), reading) and not _ODD.fullmatch(text)
        return None if is_plain else f"'{text}'"
    is_core = kind not in ("int", "float") or not _BEYOND_CORE.match(text)
    return None if is_core and _alike(_read_11(text), reading) and _alike(_read_12(text), reading) else _written(value)


def is_ambiguous(text: str) -> bool:
    """Tell whether YAML 1.1 readers take the plain text for something other than text."""
    return bool(text) and text[0] in _FIRST and _read_11(text)[0] != "text"


def read_tagged(kind: str, text: str) -> Reading:
    """Read a scalar that has one of YAML's own tags. Raises ValueError if readers of the versions may disagree on it."""
    if kind == "str":
        return "text", text
    if len(text) > MAX_DIGITS and is_number(text):
        raise TooManyDigits
    found_kind, value = _read_12(text)
    if not _alike(_read_11(text), (found_kind, value)) or (kind, found_kind) == ("int", "float"):
        raise ValueError(text)
    if kind == "float" and found_kind == "int":
        return "float", float(value)
    if kind != found_kind:
        raise ValueError(text)
    return found_kind, value


def _read_12(text: str) -> Reading:
    if text in _NULL:
        return "null", None
    if text in _TRUE or text in _FALSE:
        return "bool", text in _TRUE
    if _INT_12.fullmatch(text):
        return "int", _integer(text, octal=("0o",))
    if _FLOAT_12.fullmatch(text):
        value = float(text.replace("_", ""))
        return ("float", value) if math.isfinite(value) else ("broken", text)
    return _read_common(text)


def _read_11(text: str) -> Reading:
    if text in _NULL:
        return "null", None
    if text in _ON or text in _OFF:
        return "bool", text in _ON
    if text == "=":
        return "broken", text
    if _INT_11.fullmatch(text):
        try:
            return "int", _base_60(text, int) if ":" in text else _integer(text, octal=("0",))
        except ValueError:
            # `0x_` has no digit: PyYAML ends there.
            return "broken", text
    if _FLOAT_11.fullmatch(text):
        return "float", _base_60(text, float) if ":" in text else float(text.replace("_", ""))
    return _read_common(text)


def _read_common(text: str) -> Reading:
    if _INFINITE.fullmatch(text):
        return "float", float(text.replace(".", "", 1).lower())
    if text == "<<":
        return "merge", text
    if (match := _TIMESTAMP.fullmatch(text)) and (_DATE.fullmatch(text) or match[4]):
        try:
            return "timestamp", _parse_timestamp(match)
        except ValueError:
            return "broken", text
    return "text", text


def _integer(text: str, *, octal: tuple[str, ...]) -> int:
    digits = text.replace("_", "").lower()
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    for prefixes, base in ((("0b",), 2), (("0x",), 16), (octal, 8)):
        for prefix in prefixes:
            if digits.startswith(prefix) and digits != "0":
                return sign * int(digits.removeprefix(prefix), base)
    return sign * int(digits)


def _base_60(text: str, make: type[int] | type[float]) -> float | int:
    sign = -1 if text.startswith("-") else 1
    total: float | int = 0
    if len(text) > MAX_DIGITS:
        return total
    *whole, last = text.replace("_", "").lstrip("+-").split(":")
    for part in whole:
        total = total * 60 + int(part)
    return sign * (total * 60 + make(last))


def _parse_timestamp(match: "re.Match[str]") -> date:
    day = date(int(match[1]), int(match[2]), int(match[3]))
    if not match[4]:
        return day
    micro = int((match[7] or "")[:6].ljust(6, "0"))
    zone = UTC if match[8] else None
    if match[9]:
        away = timedelta(hours=int(match[10]), minutes=int(match[11] or 0))
        zone = timezone(-away if match[9] == "-" else away)
    return datetime(day.year, day.month, day.day, int(match[4]), int(match[5]), int(match[6]), micro, zone)


def _alike(first: Reading, second: Reading) -> bool:
    return _kind_value(first) == _kind_value(second)


def _kind_value(reading: Reading) -> tuple[str, str]:
    # By their letters: a number that is none equals nothing, not even itself.
    return reading[0], repr(reading[1])


def _written(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    # Readers of 1.1 want a point and the exponent's sign.
    digits, exponent, power = repr(value).partition("e")
    point = "" if "." in digits or not exponent else ".0"
    return f"{digits}{point}{exponent}{'' if power[:1] in ('-', '+') or not power else '+'}{power}"
