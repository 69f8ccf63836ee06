"""`$VAR_DIR/env`: settings as lines of `export NAME='value'`, which a shell and the program read alike.

A line that the two would read differently is refused, with its number. Nothing is expanded.
"""

import re
from collections.abc import Mapping
from pathlib import Path

# What a shell takes as it stands, outside of quotes. `~` is left out, since a shell puts a folder in its place.
_BARE = r"[^\s'\"\\$`;&|<>()~]"
_PIECE = re.compile(rf"""'(?P<single>[^']*)'|"(?P<double>(?:[^"\\$`]|\\.)*)"|\\(?P<escaped>[^\n])|(?P<bare>{_BARE}+)""", re.DOTALL)
_SKIPPED = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*[ \t]*(?:#[^\n]*)?(?:\Z|(?=\S))")
_NAME = re.compile(r"(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)=")
_END = re.compile(r"[ \t]*(?:[ \t]#[^\n]*)?(?:\n|\Z)")
# Within double quotes a shell takes the backslash away before these alone, and joins the lines that it stands between.
_ESCAPE = re.compile(r"\\([\"\\$`])|\\(\n)")


class EnvFileError(ValueError):
    """A line of the file that a shell and the program would read differently. The message names it, and never its value."""


def read(path: Path) -> dict[str, str]:
    """Read the settings of a file; none where there is no file. Raises EnvFileError, OSError."""
    try:
        return parse(path.read_text(encoding="utf-8"), path) if path.is_file() else {}
    except UnicodeDecodeError as error:
        raise EnvFileError(f"{path} is not written in UTF-8, at its byte {error.start}. Correct it there.") from error


def parse(text: str, path: Path) -> dict[str, str]:
    """Read the settings of a file's text. As in a shell, the last line of a name counts. Raises EnvFileError."""
    settings: dict[str, str] = {}
    position = _end_of_match(_SKIPPED, text, 0)
    while position < len(text):
        assignment = _NAME.match(text, position)
        if assignment is None:
            raise _refused(text, position, path, "it does not set anything. Write NAME='value'")
        settings[assignment["name"]], position = _value(text, assignment.end(), assignment["name"], path)
        position = _end_of_match(_SKIPPED, text, position)
    return settings


def quote(value: str) -> str:
    """Return the value in quotes that preserve every character of it."""
    return "'" + value.replace("'", "'\"'\"'") + "'"


def format_lines(settings: Mapping[str, str]) -> str:
    """Return the lines of a file that set these."""
    return "".join(f"export {name}={quote(value)}\n" for name, value in settings.items())


def _value(text: str, position: int, name: str, path: Path) -> tuple[str, int]:
    value = ""
    while (piece := _PIECE.match(text, position)) is not None:
        if piece["double"] is not None:
            value += _ESCAPE.sub(lambda escape: escape[1] or "", piece["double"])
        else:
            value += next(group for group in (piece["single"], piece["escaped"], piece["bare"]) if group is not None)
        position = piece.end()
    end = _END.match(text, position)
    if end is None:
        raise _refused(text, position, path, f"a shell reads the value of {name} differently. Write it between single quotes")
    return value, end.end()


def _end_of_match(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


def _refused(text: str, position: int, path: Path, why: str) -> EnvFileError:
    return EnvFileError(f"{path}, line {text.count(chr(10), 0, position) + 1}: {why}.")
