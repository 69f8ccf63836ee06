"""What the tests of importing the predecessor's profiles share: the samples, the command, and what it reported."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from control_plane.access.groups.models import Analysis, Grant, Group, Membership
from control_plane.accounts.models import User
from control_plane.base.audit.models import AuditEvent
from control_plane.deployments.models import Deployment, Stack
from control_plane.neurocaas_import.reading import FILE_NAME

SAMPLES = Path(__file__).parents[1] / "data/legacy-profiles"
LAB: dict[str, Any] = {"AffiliateName": "oldlab", "UserNames": ["ada"], "ContactEmail": ["ada@example.org"], "Pipelines": []}


def profile(*affiliates: Any, **more: Any) -> dict[str, Any]:
    """A profile of these affiliates."""
    return {"UXData": {"Affiliates": list(affiliates)}, **more}


def lab(**fields: Any) -> dict[str, Any]:
    """An affiliate that is as it should be, but for these fields."""
    return {**LAB, **fields}


class Importer:
    """Writes profiles and runs the command over them."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def write(self, content: Any, name: str = "stack") -> str:
        """A folder with this profile: bytes, text, or a document."""
        path = self.folder / name / FILE_NAME
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, bytes | str) else json.dumps(content)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path.parent)

    def run(self, *arguments: str) -> Any:
        """The command's report as a document, whatever its exit status."""
        self.capsys.readouterr()
        with suppress(SystemExit):
            call_command("legacy", "import", *arguments, "--json")
        return json.loads(self.capsys.readouterr().out)

    def one(self, content: Any, *arguments: str) -> Any:
        """The report on a single profile."""
        report = self.run(self.write(content), *arguments)
        assert len(report["profiles"]) == 1
        return report["profiles"][0]


def fates(entries: list[Any]) -> list[tuple[str, str, str]]:
    """What became of each entry."""
    return [(entry["name"], entry["fate"], entry["becomes"]) for entry in entries]


def said(entry: Any) -> str:
    """All that was said about an entry."""
    return " ".join(entry["notes"])


def state() -> list[Any]:
    """All that an import could change."""
    models = (User, Group, Membership, Grant, Analysis, Deployment, AuditEvent)
    return [list(model._default_manager.order_by("pk").values()) for model in models] + [
        list(Stack.objects.order_by("pk").values_list("generation"))
    ]
