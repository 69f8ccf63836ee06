"""The documentation builds, says what is true, leads where it says, and loads nothing from elsewhere."""

import importlib
import os
import re
import subprocess
import sys
from argparse import _SubParsersAction
from pathlib import Path

import django
import pytest
from django.apps import apps
from django.core.management import get_commands, load_command_class

from control_plane.base.config import Config
from stacks.site.settings import Site
from tests import environment
from tests.docs import site

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TEXTS = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
# Folders whose files the pages name as the place of something.
PLACES = ("assets", "control_plane", "docs", "local_aws", "scripts", "stacks", "tests", "web")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does; any warning fails the build."""
    folder = tmp_path_factory.mktemp("documentation")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def pages(built: Path) -> dict[Path, site.Seen]:
    return site.read(built)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> object:
    """The script that writes what follows from the code."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    django.setup()
    return importlib.import_module("docs_parts")


def test_every_page_is_built(built: Path, pages: dict[Path, site.Seen]) -> None:
    for page in PAGES:
        path = page.relative_to(DOCS).with_suffix("")
        folder = path.parent if path.name in ("index", "README") else path
        assert built / folder / "index.html" in pages, page


def test_nothing_is_loaded_from_another_host(built: Path, pages: dict[Path, site.Seen]) -> None:
    assert [(path.name, load) for path, page in pages.items() for load in page.loads if site.is_elsewhere(load)] == []
    for sheet in built.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)\"']*", sheet.read_text()) == [], sheet


def test_a_command_in_a_table_can_be_copied_as_it_is(built: Path) -> None:
    codes = [(path.name, code) for path in built.rglob("*.html") for code in re.findall(r"<code>(.*?)</code>", path.read_text())]
    assert ("index.html", "manage.py group keys &lt;slug&gt; allow|forbid") in codes
    assert [code for code in codes if "\\|" in code[1]] == []


def test_a_strict_policy_lets_every_page_work(pages: dict[Path, site.Seen]) -> None:
    assert {str(path): page.inline for path, page in pages.items() if page.inline} == {}


def test_every_link_leads_somewhere(built: Path, pages: dict[Path, site.Seen]) -> None:
    assert site.broken_links(built, pages) == []


def test_a_link_that_leads_nowhere_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "index.html").write_text('<h1 id="here">x</h1>')
    (tmp_path / "index.html").write_text(
        '<a href="there/#here">a</a> <a href="there/#gone">b</a> <a href="gone/">c</a> <a href="../x">d</a>'
    )
    broken = site.broken_links(tmp_path, site.read(tmp_path))
    assert [link for _, link in broken] == ["there/#gone", "gone/", "../x"]


def test_what_follows_from_the_code_is_up_to_date(parts: object) -> None:
    stale = [str(path) for path, text in parts.parts() if path.read_text() != text]  # type: ignore[attr-defined]
    assert stale == [], "run `make docs`"


def test_the_database_s_picture_shows_every_model_of_ours_and_every_field(parts: object) -> None:
    picture = (DOCS / "data-model.svg").read_text()
    ours = [config for config in apps.get_app_configs() if config.name.startswith(("control_plane.", "web."))]
    for model in (model for config in ours for model in config.get_models()):
        assert f">{model.__name__}</text>" in picture
        assert [field.name for field in model._meta.local_fields if f">{field.name}</text>" not in picture] == []


def test_every_setting_is_documented_with_what_it_is_for() -> None:
    page = (DOCS / "settings.md").read_text()
    assert [name for name in Config.model_fields if f"`{name.upper()}`" not in page] == []
    assert [name for name in Site.model_fields if f"`{name}" not in page and name != "retention"] == []
    assert [name for name, field in Config.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_every_command_that_is_named_exists(page: Path) -> None:
    wrong = []
    for command, verb in re.findall(r"(?:manage\.py|sudo(?: --\S+)? cohort) ([a-z]+)(?: ([a-z][a-z-]*))?", page.read_text()):
        if command not in get_commands():
            wrong.append(command)
        elif (known := _verbs(command)) and verb and verb not in known:
            wrong.append(f"{command} {verb}")
    assert wrong == []


def test_every_command_of_ours_is_documented() -> None:
    page = (DOCS / "commands.md").read_text()
    # The demonstration's is called by `make up` alone.
    ours = [name for name, app in get_commands().items() if str(app).startswith(("control_plane.", "web.")) and name != "demo"]
    rows = {name: " ".join(line for line in page.splitlines() if f"`manage.py {name}" in line) for name in ours}
    assert [name for name in ours if not rows[name]] == []
    missing = [f"{name} {verb}" for name in ours for verb in _verbs(name) if not re.search(rf"\b{verb}\b", rows[name])]
    assert missing == []


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_every_file_and_folder_that_is_named_exists(page: Path) -> None:
    named = re.findall(rf"`((?:{'|'.join(PLACES)})/[\w./*-]+)`", page.read_text())
    assert [path for path in named if not list(ROOT.glob(path.rstrip("/")))] == []


@pytest.mark.parametrize("page", [*(DOCS / "development").glob("*.md"), ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_every_path_that_a_page_for_developers_shortens_exists(page: Path) -> None:
    named = re.findall(r"`([a-z_]\w*/(?:[\w./*-]+)?)`", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL))
    places = [ROOT, ROOT / "control_plane", ROOT / "control_plane/access", ROOT / "control_plane/access/groups"]
    assert [path for path in named if not any(list(place.glob(path.rstrip("/"))) for place in places)] == []


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"`make ([a-z]+)|^make ([a-z]+)", page.read_text(), re.MULTILINE)
    assert {first or second for first, second in named} <= set(targets)


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_every_unit_that_is_named_exists(page: Path) -> None:
    named = re.findall(r"\bcohort-[a-z-]+\.(?:service|socket|timer)\b", page.read_text())
    there = {path.name.removesuffix(".j2") for path in (ROOT / "assets/systemd").glob("cohort-*")}
    assert set(named) <= there


def test_the_check_for_stale_pages_fails_where_one_is_stale(tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, 'scripts'); import docs_parts as d; from pathlib import Path;"
        "d.parts = lambda: iter([(d.ROOT / 'docs/settings.md', 'other')]); sys.argv = ['docs_parts', '--check']; d.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment.as_dict(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "docs/settings.md" in done.stderr
    assert "make docs" in done.stderr


def _verbs(command: str) -> set[str]:
    app = get_commands()[command]
    parser = load_command_class(app if isinstance(app, str) else app.__module__, command).create_parser("manage.py", command)
    choices = [set(action.choices) for action in parser._actions if isinstance(action, _SubParsersAction)]
    return choices[0] if choices else set()
