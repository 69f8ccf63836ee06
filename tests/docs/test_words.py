"""The glossary's "Say instead" holds: no page, message or documentation says what stands in its left column."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = ROOT / "docs/development/glossary.md"
SOURCES = (ROOT / "control_plane", ROOT / "web")
# Templates of Django's own administration, which are replaced.
REPLACED_SOON = (
    "control_plane/administration/templates",
    "control_plane/access/retirement/templates",
    "control_plane/access/rosters/templates",
)
# Pages that show old words on purpose: what was decided when, and the table itself.
OLD_WORDS = ("docs/decisions", "docs/development/glossary.md")
# Phrases of the table that more than their words tells from others.
PATTERNS = {
    "there (as a state)": r"(?:✓|✗|⟳|!|\?) there\b",
    "348 kB a second": r"(?:[kMGTP]?B|\}) a second\b",
}
_ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


class Text(NamedTuple):
    """What people can read at one place of a file, from this line on."""

    path: Path
    line: int
    text: str


def test_no_old_phrase_is_left() -> None:
    assert [f"{place}: {phrase}" for place, phrase in _old_phrases(_texts())] == []


def test_every_kind_of_text_is_read() -> None:
    """A folder that moved would leave the test above with nothing to read."""
    read = [str(found.path.relative_to(ROOT)) for found in _texts()]
    for part in ("control_plane/templates/account/", "control_plane/access/keys/templates/", "web/groups/templates/", "docs/for/"):
        assert any(path.startswith(part) for path in read), part
    for path in (
        "README.md",
        "control_plane/access/groups/announcements.py",
        "control_plane/access/groups/migrations/0001_initial.py",
        "control_plane/static/cohort/site.js",
        "web/groups/views.py",
        "web/uploads/static/uploads/page.js",
    ):
        assert path in read, path
    for folder in (*REPLACED_SOON, "control_plane/administration", *OLD_WORDS):
        assert (ROOT / folder).exists(), folder
        assert [path for path in read if path.startswith(folder)] == []


def test_patterns_beside_the_table_are_for_its_phrases() -> None:
    assert PATTERNS.keys() - _phrases() == set()


@pytest.mark.parametrize("phrase", sorted(PATTERNS))
def test_a_pattern_beside_the_table_leaves_other_texts(phrase: str) -> None:
    kept = ("There are 3 people.", "Is somebody there?", "A second administrator has to approve it.", "348 kB/s")
    assert [text for text in kept if re.search(_patterns()[phrase], text)] == []


@pytest.mark.parametrize(
    ("name", "content", "phrases"),
    [
        ("a.html", "<p>✓ in\n  force</p>", ["in force"]),
        ("a.html", "{# in force #}<p>Enforced{% comment %} in force {% endcomment %}</p>", []),
        ("a.html", '<button class="btn">Last day,\nmove, suspend…</button>', ["Last day", "Last day, move, suspend"]),
        ("a.html", "{% if state == 'ample' %}<b>{{ state }}</b>{% endif %}", []),
        ("a.html", "<p>On their last day a second administrator has to look at it.</p>", []),
        ("a.html", '<span aria-label="Give up {{ name }}">✓ there</span>', ["there (as a state)", "Give up"]),
        ("a.py", '"""Is in force."""\nrefuse(f"{person} is not in "\n  f"force.")  # in force', ["in force"]),
        ("a.py", 'def a():\n    "Holds: in force."\n    return f"Known to AWS as {slug}"', ["Known to AWS as *name*"]),
        ("a.py", 'State = Literal["ample"]\nif state == "ample":\n  words = {"ample": _("left: ample")}', ["ample"]),
        ("a.py", 'WORDS = {"ample": "ample"}', ["ample"]),
        ("a.js", '// Came to nothing.\nsay("Not answered: " +\n  "a.org"); // in force\n/* in force */', ["not answered"]),
        ("a.js", 'const url = "https://example.org/"; say(`${size(rate)} a second`);', ["348 kB a second"]),
        (
            "a.md",
            "The run **came\nto nothing**; `it holds generation 4`.",
            ["holds generation *N*", "came to nothing"],
        ),
    ],
)
def test_a_planted_phrase_is_found(tmp_path: Path, name: str, content: str, phrases: list[str]) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert [phrase for _, phrase in _old_phrases(_texts_of(path))] == phrases


def _phrases() -> list[str]:
    """The left column, as it stands in the table."""
    table = GLOSSARY.read_text().partition("## Say instead")[2]
    return [phrase for phrase, _ in _ROW.findall(table) if phrase not in ("not", "---")]


def _patterns() -> dict[str, re.Pattern[str]]:
    """The pattern of each phrase: its letters as they are, or with a capital, for it may begin a sentence.

    Slanted words stand for any; words end where words end.
    """
    return {phrase: re.compile(PATTERNS.get(phrase) or _pattern(phrase)) for phrase in _phrases()}


def _pattern(phrase: str) -> str:
    first, rest = phrase[0], phrase[1:]
    letters = f"[{first}{first.upper()}]" if first.islower() else re.escape(first)
    pieces = {" ": r"\s+", "'": "['’]"}
    words = "".join(r"\S+" if part[0] == "*" else pieces.get(part) or re.escape(part) for part in re.findall(r"\*\w+\*|.", rest))
    return rf"(?<!\w){letters}{words}(?!\w)"


def _old_phrases(texts: Iterable[Text]) -> Iterator[tuple[str, str]]:
    """Each old phrase with its place: the file within the repository, and the line."""
    patterns = _patterns()
    for path, line, text in texts:
        for phrase, pattern in patterns.items():
            for match in pattern.finditer(text):
                name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name
                above = text.count("\n", 0, match.start())
                yield f"{name}:{line + above}", phrase


def _texts() -> Iterator[Text]:
    paths = [
        *(path for folder in SOURCES for path in folder.rglob("*") if _is_shown(path.relative_to(ROOT))),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "README.md",
    ]
    for path in sorted(paths):
        if not str(path.relative_to(ROOT)).startswith((*REPLACED_SOON, *OLD_WORDS)):
            yield from _texts_of(path)


def _is_shown(path: Path) -> bool:
    match path.suffix:
        case ".py":
            return not path.is_relative_to("control_plane/administration")
        case ".html" | ".txt":
            return "templates" in path.parts
        case ".js":
            return "static" in path.parts
        case _:
            return False


def _texts_of(path: Path) -> Iterator[Text]:
    source = path.read_text()
    match path.suffix:
        case ".py":
            for line, literal in _literals(ast.parse(source)):
                yield Text(path, line, literal)
        case ".js":
            source = _blanked(r"/\*.*?\*/|(?<![:\w\"'])//[^\n]*", source)
            yield Text(path, 1, _blanked(r"([\"'`])\s*\+\s*\1", source))
        case ".md":
            yield Text(path, 1, re.sub(r"\*\*|__", "", source))
        case _:
            # What a tag compares is a value of the program.
            yield Text(path, 1, _blanked(r"(?<=[!=]= )([\"']).*?\1|\{#.*?#\}|\{% comment.*?endcomment %\}|<!--.*?-->", source))


def _blanked(pattern: str, source: str) -> str:
    """Remove what the pattern finds, but for its line breaks."""
    return re.sub(pattern, lambda match: "\n" * match[0].count("\n"), source, flags=re.DOTALL)


def _literals(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The strings of a program that can be messages: neither docstrings nor values that it compares, looks up or is typed with."""
    passed = {id(node) for node in _values(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
            passed.update(id(part) for part in node.values)
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed:
            yield node.lineno, node.value


def _values(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant() as docstring):
                yield docstring
            case ast.Dict(keys=keys):
                yield from (key for key in keys if key is not None)
            case ast.Compare(left=left, comparators=others):
                yield from (left, *others)
            case ast.Subscript(slice=ast.Tuple(elts=values)):
                yield from values
            case ast.Subscript(slice=value):
                yield value
            case ast.IfExp(body=body, orelse=other):
                yield from (value for value in (body, other) if isinstance(value, ast.Constant) and str(value.value).isidentifier())
