"""Imports go one way: web -> control_plane -> stacks.manifest. And what the web process loads."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests import environment

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = {
    "stacks": ("django", "control_plane", "web", "local_aws"),
    "control_plane": ("web", "aws_cdk", "local_aws"),
    "web": ("aws_cdk", "stacks", "local_aws"),
    # Of the stacks the embedded AWS knows what the control plane's own identity may do, and no more.
    "local_aws": ("django", "control_plane", "web", "aws_cdk"),
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_a_folder_imports_nothing_from_above_it(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        wrong = [name for name in imports(path) if name.split(".")[0] in FORBIDDEN[folder]]
        assert wrong == [], path


# Looks at an account before there is a site, and so knows what the bootstrap makes; it needs no CDK for that.
DOCTOR = ROOT / "control_plane/doctor"
OF_THE_BOOTSTRAP = (
    *("stacks._deploy_role", "stacks._holders", "stacks.bootstrap", "stacks.host_policies", "stacks.names", "stacks.policies"),
    "stacks.site",
)


# Where `app.py` and the control plane alike find the site's settings.
OF_THE_SITE = ("stacks.manifest", "stacks.environment", "stacks.env_file")


def test_the_control_plane_knows_of_the_stacks_their_manifest_and_the_site_s_settings_alone() -> None:
    for path in (ROOT / "control_plane").rglob("*.py"):
        if path.is_relative_to(DOCTOR):
            continue
        wrong = [name for name in imports(path) if name.startswith("stacks.") and not name.startswith(OF_THE_SITE)]
        assert wrong == [], path


def test_the_doctor_knows_of_the_stacks_the_bootstrap_and_the_site_s_settings_and_nobody_uses_it() -> None:
    for path in DOCTOR.rglob("*.py"):
        wrong = [name for name in imports(path) if name.startswith("stacks.") and not name.startswith(OF_THE_BOOTSTRAP)]
        assert wrong == [], path
    others = [
        path for folder in ("control_plane", "web") for path in (ROOT / folder).rglob("*.py") if not path.is_relative_to(DOCTOR)
    ]
    assert [path for path in others if any(name.startswith("control_plane.doctor") for name in imports(path))] == []


def test_the_doctor_loads_neither_cdk_nor_django_s_settings() -> None:
    script = "import sys, control_plane.doctor.command; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"aws_cdk", "jsii", "control_plane.settings"} & set(done.stdout.split())


def test_the_web_process_loads_neither_cdk_nor_the_engine() -> None:
    script = "import sys, control_plane.wsgi, control_plane.urls; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment.as_dict(), capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "control_plane.administration.people" in loaded
    assert not {"aws_cdk", "jsii", "control_plane.deployments.engine", "control_plane.deployments.deployers"} & loaded


def test_no_module_outgrows_four_hundred_lines() -> None:
    folders = ("stacks", "control_plane", "web", "local_aws", "scripts", "tests")
    long = [str(path) for folder in folders for path in (ROOT / folder).rglob("*.py") if len(path.read_text().splitlines()) > 400]
    assert long == []
