"""Picture of the database: one box for each of our models, grouped by app, with a line for each foreign key.

Plain SVG. Colours are attributes rather than styles, so that the strictest Content-Security-Policy shows them too.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from django.apps import apps
from django.db import models

OURS = ("control_plane.", "web.")
COLUMNS = 5
ROW, HEAD, PAD, BOX_GAP, TITLE = 17, 25, 7, 22, 34
BOX, GUTTER, MARGIN = 252, 82, 20
# Of each model that others refer to: dark enough on the light ground, and told by the text on the row as well.
INKS = ("#1f6569", "#9a3412", "#5b21b6", "#1d4ed8", "#a21caf", "#15803d", "#b45309", "#be123c", "#0e7490", "#4d7c0f")
GROUND, PAPER, LINE, TEXT, FAINT = "#f4f7f7", "#ffffff", "#9db4b5", "#12292b", "#4b6163"
SHORT = {
    "BigAutoField": "number",
    "BigIntegerField": "big number",
    "PositiveBigIntegerField": "big number",
    "PositiveIntegerField": "number",
    "PositiveSmallIntegerField": "small number",
    "IntegerField": "number",
    "FloatField": "decimal",
    "BooleanField": "yes or no",
    "DateTimeField": "time",
    "DateField": "date",
    "JSONField": "JSON",
    "GenericIPAddressField": "IP address",
    "UUIDField": "UUID",
    "TextField": "text",
}
Model = type[models.Model]


@dataclass(frozen=True)
class Box:
    """A model's box: its position in pixels, and its column."""

    model: Model
    x: int
    y: int
    column: int

    @property
    def height(self) -> int:
        """Height in pixels, with its head and all its fields."""
        return box_height(self.model)

    def row_y(self, index: int) -> int:
        """Return the vertical middle of a field's row."""
        return self.y + HEAD + PAD + index * ROW + ROW // 2


@dataclass(frozen=True)
class Link:
    """A foreign key: from a row of one box to the head of another."""

    source: Box
    row: int
    target: Box


def our_models() -> list[Model]:
    """Return all our models, app by app, an app after those that it refers to."""
    selected = [model for config in apps.get_app_configs() if config.name.startswith(OURS) for model in config.get_models()]
    return sorted(selected, key=lambda model: _depth(model._meta.app_label, selected))


def fields(model: Model) -> "list[models.Field[Any, Any]]":
    """Return the columns of the model's table."""
    return list(model._meta.local_fields)


def describe(field: "models.Field[Any, Any]") -> str:
    """Return a column's description: its type or the model it refers to, and whether it is unique or may be missing."""
    target = field.related_model if isinstance(field, models.ForeignKey) else None
    kind = field.get_internal_type()
    if isinstance(target, type):
        words = f"→ {target.__name__}"
    elif field.choices:
        words = "one of " + str(len(list(field.choices)))
    else:
        words = SHORT.get(kind) or f"text {field.max_length}"
    unique = " unique" if field.unique and not field.primary_key else ""
    return words + unique + (", or none" if field.null else "")


def svg() -> str:
    """Return the whole picture."""
    boxes, titles = lay_out(our_models())
    width = MARGIN * 2 + COLUMNS * BOX + (COLUMNS - 1) * GUTTER
    height = max(box.y + box.height for box in boxes) + MARGIN
    inks = _inks(boxes)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img" aria-labelledby="title">',
        '<title id="title">The database of Cohort: its models, their fields, and how they refer to each other</title>',
        f'<rect width="{width}" height="{height}" fill="{GROUND}"/>',
        *_lines(list(links(boxes)), inks),
        *(_title(name, x, y) for name, x, y in titles),
        *(part for box in boxes for part in _box(box, inks)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def lay_out(ours: list[Model]) -> tuple[list[Box], list[tuple[str, int, int]]]:
    """Fill the columns one after another, each about as high as the others; return the boxes and each app's title and position."""
    limit = sum(box_height(model) + BOX_GAP for model in ours) / COLUMNS
    boxes: list[Box] = []
    titles: list[tuple[str, int, int]] = []
    column, y, label = 0, MARGIN, ""
    for model in ours:
        over = y + box_height(model) / 2 > limit + MARGIN
        if y > MARGIN and over and column < COLUMNS - 1:
            column, y, label = column + 1, MARGIN, ""
        x = MARGIN + column * (BOX + GUTTER)
        if label != model._meta.app_label:
            label = model._meta.app_label
            titles.append((str(model._meta.app_config.verbose_name if model._meta.app_config else label), x, y + 18))
            y += TITLE
        boxes.append(Box(model, x, y, column))
        y += box_height(model) + BOX_GAP
    return boxes, titles


def box_height(model: Model) -> int:
    """Return the height of a model's box in pixels."""
    return HEAD + PAD * 2 + ROW * len(fields(model))


def links(boxes: Iterable[Box]) -> Iterator[Link]:
    """Yield every foreign key from one of our models to another."""
    by_model = {box.model: box for box in boxes}
    for box in by_model.values():
        for index, field in enumerate(fields(box.model)):
            target = by_model.get(field.related_model) if isinstance(field, models.ForeignKey) else None
            if target is not None:
                yield Link(box, index, target)


def _depth(label: str, ours: list[Model]) -> tuple[int, str]:
    """Return the number of our apps that an app builds upon, directly or not, as a sort key."""
    return len(_below(label, ours, frozenset())), label


def _below(label: str, ours: list[Model], seen: frozenset[str]) -> frozenset[str]:
    for model in ours:
        for field in fields(model) if model._meta.app_label == label else ():
            other = field.related_model._meta.app_label if isinstance(field, models.ForeignKey) else label
            if other != label and other not in seen:
                seen = _below(other, ours, seen | {other})
    return seen


def _inks(boxes: list[Box]) -> dict[Model, str]:
    targets = list(dict.fromkeys(link.target.model for link in links(boxes)))
    return {model: INKS[index % len(INKS)] for index, model in enumerate(targets)}


def _title(name: str, x: int, y: int) -> str:
    return f'<text x="{x}" y="{y}" font-size="15" font-weight="600" fill="{TEXT}">{escape(name)}</text>'


def _box(box: Box, inks: dict[Model, str]) -> Iterator[str]:
    ink = inks.get(box.model, FAINT)
    yield f'<rect x="{box.x}" y="{box.y}" width="{BOX}" height="{box.height}" rx="5" fill="{PAPER}" stroke="{LINE}"/>'
    yield f'<path d="M{box.x} {box.y + HEAD}v-{HEAD - 5}q0 -5 5 -5h{BOX - 10}q5 0 5 5v{HEAD - 5}z" fill="{ink}"/>'
    yield f'<text x="{box.x + 10}" y="{box.y + 17}" font-weight="600" font-size="13" fill="#ffffff">{box.model.__name__}</text>'
    for index, field in enumerate(fields(box.model)):
        y = box.row_y(index) + 4
        target = field.related_model if isinstance(field, models.ForeignKey) else None
        colour = inks.get(target, FAINT) if isinstance(target, type) else FAINT
        yield f'<text x="{box.x + 10}" y="{y}" fill="{TEXT}">{escape(field.name)}</text>'
        right = f'x="{box.x + BOX - 10}" y="{y}" text-anchor="end" font-size="11" fill="{colour}"'
        yield f"<text {right}>{escape(describe(field))}</text>"


def _lines(all_links: list[Link], inks: dict[Model, str]) -> Iterator[str]:
    """Draw each line: sideways out of the row, along the gutter beside it, and (behind the boxes between) to the other's head.

    Lines to one model share a lane of each gutter, so that they run together instead of beside each other.
    """
    lanes = {model: index for index, model in enumerate(inks)}
    for link in all_links:
        source, target, ink = link.source, link.target, inks[link.target.model]
        start, end = link.source.row_y(link.row), target.y + HEAD // 2
        offset = 10 + lanes[target.model] * (GUTTER - 20) // max(1, len(lanes) - 1)
        leaves_right = target.column > source.column or (target.column == source.column and source.column < COLUMNS - 1)
        out = source.x + BOX if leaves_right else source.x
        lane = source.x + BOX + offset if leaves_right else source.x - GUTTER + offset
        into = target.x if lane < target.x else target.x + BOX
        yield f'<path d="M{out} {start}H{lane}V{end}H{into}" fill="none" stroke="{ink}" stroke-width="1.4"/>'
        yield f'<circle cx="{out}" cy="{start}" r="2.6" fill="{ink}"/>'
        tip = 7 if into == target.x + BOX else -7
        yield f'<path d="M{into} {end}l{tip} -4v8z" fill="{ink}"/>'
