"""Catalogue entries: descriptions of analyses, and changing them."""

from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import transaction

from control_plane.access.groups.models import Analysis
from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import Refused
from control_plane.research.catalogue.checking import check_configuration, check_schema, parse_configuration
from control_plane.research.catalogue.documents import Unreadable
from control_plane.research.catalogue.models import Entry

LINKS = ("paper_url", "source_url", "demo_url")
FIELDS = ("summary", "description", *LINKS, "template", "schema", "is_custom", "instance_type")
# Files of a folder, and the field that each holds.
FILES = {"description.md": "description", "template.yaml": "template", "schema.json": "schema"}


class InvalidEntry(Refused):
    """Field of an entry with an invalid value. `field` says which."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(f"{message} Nothing was changed.")


def entry_of(analysis: Analysis) -> Entry:
    """Return the analysis's entry; an empty, unsaved one if there is none."""
    return Entry.objects.filter(analysis=analysis).first() or Entry(analysis=analysis)


def describe(*, analysis: Analysis, actor: Actor, **fields: Any) -> Entry:
    """Change these fields of an analysis's entry. Administrators may. Raises InvalidEntry or PermissionDenied."""
    require_administrator(actor)
    if unknown := set(fields) - set(FIELDS):
        raise TypeError(f"An entry has no {', '.join(sorted(unknown))}.")
    with transaction.atomic():
        # Concurrent changes wait for each other.
        Analysis.objects.select_for_update().get(pk=analysis.pk)
        entry = entry_of(analysis)
        fields = {name: _tidy(value) for name, value in fields.items()}
        changed = [name for name, value in fields.items() if getattr(entry, name) != value]
        for name in changed:
            setattr(entry, name, fields[name])
        _check(entry)
        if changed or entry.pk is None:
            entry.save()
            record(actor, "analysis.describe", f"analysis {analysis.slug}", fields=changed)
    return entry


def read_folder(folder: Path) -> dict[str, str]:
    """Return the texts of an entry from a folder of files, by field.

    Raises InvalidEntry if a file cannot be read, or if none is there.
    """
    texts = {}
    for name, field in FILES.items():
        try:
            texts[field] = (folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidEntry(field, f"{folder / name} cannot be read: {error}.") from error
    if not texts:
        raise InvalidEntry("description", f"{folder} holds none of {', '.join(FILES)}.")
    return texts


def _tidy(value: Any) -> Any:
    """Return multi-line text with uniform line ends and one at its end; other values unchanged."""
    if not isinstance(value, str) or "\n" not in value.strip():
        return value
    # The first line keeps its indentation, which means something in YAML.
    return value.replace("\r\n", "\n").lstrip("\n").rstrip() + "\n"


def _check(entry: Entry) -> None:
    for name in LINKS:
        _check_link(name, getattr(entry, name))
    _check_texts(entry)
    try:
        entry.clean_fields(exclude=["analysis", *LINKS])
    except ValidationError as error:
        name, messages = next(iter(error.message_dict.items()))
        raise InvalidEntry(name, " ".join(messages)) from None


def _check_link(name: str, link: str) -> None:
    try:
        URLValidator(schemes=["https"])(link) if link else None
    except ValidationError:
        raise InvalidEntry(name, f"{link!r} is no https:// address.") from None


def _check_texts(entry: Entry) -> None:
    for name, reads in (("schema", check_schema), ("template", parse_configuration)):
        text = getattr(entry, name)
        try:
            reads(text) if text.strip() else None
        except Unreadable as refused:
            raise InvalidEntry(name, str(refused.problem)) from None
    if not entry.template.strip():
        return
    if wrong := [
        problem for problem in check_configuration(entry.template, entry.template, entry.schema) if not problem.is_warning
    ]:
        raise InvalidEntry("template", f"It does not fit the schema. {wrong[0]}")
