"""The parts of the documentation that follow from the code: the settings, the models, the picture of the database, and the floors.

Without an argument they are written into docs/; with `--check` nothing is written, and the exit status is 1 if something differs.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "control_plane.settings")

import diagram  # noqa: E402
import django  # noqa: E402
import floors  # noqa: E402
from django.apps import apps  # noqa: E402
from pydantic import AliasChoices, BaseModel, SecretStr  # noqa: E402
from pydantic.fields import FieldInfo  # noqa: E402

from control_plane.base.config import Config  # noqa: E402
from stacks.site.settings import Retention, Site  # noqa: E402

DOCS = ROOT / "docs"
# Between these, a page holds what follows from the code; around them, what people wrote.
MARKS = "<!-- from the code: {name} -->", "<!-- end of {name} -->"

WORDS = {bool: "`true` or `false`", int: "a whole number", float: "a number", Path: "a folder", SecretStr: "a secret"}


def main() -> None:
    """Write the pages that differ, or report them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="Write nothing; end with 1 if a page is not what the code says.")
    checks = parser.parse_args().check
    django.setup()
    stale = [path for path, text in parts() if not path.exists() or path.read_text() != text]
    if checks and stale:
        sys.exit(f"Not what the code says: {', '.join(str(path.relative_to(ROOT)) for path in stale)}. Run `make docs`.")
    for path, text in parts():
        if path in stale:
            path.write_text(text)
            print(f"Wrote {path.relative_to(ROOT)}.")


def parts() -> Iterator[tuple[Path, str]]:
    """Yield each file with parts from the code, and the whole text that it should have."""
    yield DOCS / "data-model.svg", diagram.svg()
    settings = DOCS / "settings.md"
    _, text = with_part(settings, settings.read_text(), "settings", settings_table())
    yield with_part(settings, text, "site", site_table())
    models = DOCS / "data-model.md"
    yield with_part(models, models.read_text(), "models", models_tables())
    structure = DOCS / "development/structure.md"
    _, text = with_part(structure, structure.read_text(), "floors", floors.picture())
    yield with_part(structure, text, "rooms", floors.rooms())


def with_part(path: Path, page: str, name: str, text: str) -> tuple[Path, str]:
    """Return the path and the page with this text between its marks. Raises ValueError if it has no such marks."""
    begin, end = (mark.format(name=name) for mark in MARKS)
    if begin not in page or end not in page:
        raise ValueError(f"{path} has no part between {begin!r} and {end!r}.")
    head, _, rest = page.partition(begin)
    return path, f"{head}{begin}\n{text}\n{end}{rest.partition(end)[2]}"


def settings_table() -> str:
    """Return a table of the fields of `Config`: name in the environment, type, default, description."""
    rows = (
        (
            _names(name, field),
            _kind(field).replace("list of words", "list of words, separated by spaces"),
            _default(field),
            field.description or "",
        )
        for name, field in Config.model_fields.items()
    )
    return _table(rows)


def site_table() -> str:
    """Return a table of the fields of `Site`, which is read from `site.toml`, and of its sections."""
    rows = []
    for name, field in Site.model_fields.items():
        if field.annotation is Retention:
            rows += [
                (f"`retention.{option}`", _kind(field), _default(field), field.description or "")
                for option, field in _fields(Retention)
            ]
        else:
            rows.append((f"`{name}`", _kind(field), _default(field), field.description or ""))
    return _table(rows)


def models_tables() -> str:
    """Return a table for each app of its models, their tables and first sentences."""
    lines: list[str] = []
    label = ""
    for model in diagram.our_models():
        meta = model._meta
        if meta.app_label != label:
            label = meta.app_label
            lines += [
                "",
                f"### {apps.get_app_config(label).verbose_name}",
                "",
                "| model | table | what a row is |",
                "| --- | --- | --- |",
            ]
        first = " ".join(re.split(r"(?<=\.)\s|\n\n", (model.__doc__ or "").strip(), maxsplit=1)[0].split())
        lines.append(f"| `{model.__name__}` | `{meta.db_table}` | {first} |")
    return "\n".join(lines).strip()


def _table(rows: Iterable[Sequence[str]]) -> str:
    lines = ["| setting | holds | default | what it is for |", "| --- | --- | --- | --- |"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    yield from model.model_fields.items()


def _names(name: str, field: FieldInfo) -> str:
    """Return the name as it is written in the environment, and further names that count as well."""
    if isinstance(field.validation_alias, AliasChoices):
        first, *others = (str(choice) for choice in field.validation_alias.choices)
        return f"`{first}`<br>or {', '.join(f'`{other}`' for other in others)}"
    return f"`{name.upper()}`"


def _kind(field: FieldInfo) -> str:
    """Return words for a type and its limits."""
    limits = [f"{word} {value}" for word, value in _limits(field)]
    return ", ".join([_words(field.annotation), *limits])


def _words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    inner = [argument for argument in get_args(kind) if argument is not type(None)]
    if get_origin(kind) is dict:
        return "names with their values"
    if get_origin(kind) is tuple:
        return "a list of words"
    if inner:
        return _words(inner[0])
    return {bool: "`true` or `false`", int: "a whole number", float: "a number", Path: "a folder", SecretStr: "a secret"}.get(
        kind, "text"
    )


def _limits(field: FieldInfo) -> Iterator[tuple[str, Any]]:
    unit = "word" if get_origin(field.annotation) is tuple else "characters"
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    for limit in field.metadata:
        yield from ((word, getattr(limit, name)) for name, word in words.items() if hasattr(limit, name))
        if getattr(limit, "min_length", None):
            yield "at least", f"{limit.min_length} {unit}"
        if getattr(limit, "max_length", None):
            yield "at most", f"{limit.max_length} {unit}"
    pattern = next((limit.pattern for limit in field.metadata if getattr(limit, "pattern", None)), "")
    if pattern == "^[0-9]{12}$":
        yield "of", "12 digits"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**none: must be set**"
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if field.default_factory or value is None or value in ("", ()):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{' '.join(value)}`"
    return f"`{str(value).removeprefix(f'{ROOT}/')}`"


if __name__ == "__main__":
    main()
