"""Every command of `manage.py`: its help and its verbs' help, and what those say that a story runs."""

import argparse
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from django.apps import apps
from django.core.management import get_commands, load_command_class

from tests.control_plane.operation.health.test_cloudwatch import certificate
from tests.record import product
from tests.record.command_story import STORY, WITHOUT_JSON, Words
from tests.record.documents import Record
from tests.record.normalise import normalise
from tests.record.running import PASSWORD, Site, settings
from tests.record.shapes import shape_of_output

# So that every command has what it is about.
SETTINGS = {
    "ADMIN_PASSWORD": PASSWORD,
    "BACKUP_STORE": "{folder}/backups",
    "CERTIFICATE_FILE": "{folder}/certificate.pem",
    "HEALTH_URL": "http://127.0.0.1:9/readyz",
}


def commands(site: Site) -> Record:
    """Run the story, and write down each command."""
    ran = run_story(site)
    unknown = ran.keys() - set(ours())
    assert not unknown, f"the story runs commands that there are not: {unknown}"
    return {f"commands/{name}.txt": "\n\n".join([*helps(name), *ran.get(name, ())]) + "\n" for name in ours()}


def run_story(site: Site) -> dict[str, list[str]]:
    """What each line of the story came to, by its command."""
    found: dict[str, list[str]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, settings(**{name: each.format(folder=folder) for name, each in SETTINGS.items()}):
        site.folder = Path(folder)
        certificate(site.folder / "certificate.pem", days=60)
        for step in STORY:
            if callable(step):
                step(site)
                continue
            line = step.format_map(Words(site.folder))
            ran = site.run(line if is_without_json(line) else f"{line} --json")
            said = shape_of_output(ran.out) or ("(text)" if ran.out else "(nothing)")
            found[line.split()[0]].append(normalise(f"$ {step}\nexit status {ran.status}\n{said}"))
    return found


def is_without_json(line: str) -> bool:
    """Whether this command, or verb, has no --json."""
    return line.startswith(WITHOUT_JSON) or "--csv" in line


def ours() -> list[str]:
    """The commands of our own apps, whichever these are."""
    found = get_commands()
    return sorted(name for name, app in found.items() if isinstance(app, str) and _is_ours(app))


def helps(name: str) -> Iterator[str]:
    """The help of a command, then of each of its verbs."""
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    yield f"# {name}\n{parser.format_help().strip()}"
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, its in action.choices.items():
                yield f"## {name} {verb}\n{its.format_help().strip()}"


def programs() -> Record:
    """The help of the programs beside `manage.py`."""
    told = []
    for name, words in product.PROGRAMS.items():
        done = subprocess.run(words, cwd=product.ROOT, capture_output=True, text=True, check=True)
        told.append(f"# {name}\n{done.stdout.strip()}")
    return {"programs.txt": "\n\n".join(told) + "\n"}


def _is_ours(app: str) -> bool:
    config = next((app_config for app_config in apps.get_app_configs() if app_config.name == app), None)
    path = Path(config.path if config else "/")
    return path.is_relative_to(product.ROOT) and not path.is_relative_to(product.ROOT / ".venv")
