"""Imports go one way: web -> control_plane -> the contract of the stacks, by strings too. And what the web process loads."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from django.apps import apps

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


def strings(path: Path) -> set[str]:
    return {
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def named(path: Path) -> set[str]:
    """What of ours its strings name: `include("...")`, INSTALLED_APPS, `add_router`, tasks, settings, `import_module`."""
    return {text for text in strings(path) if re.fullmatch(r"(control_plane|web)(\.\w+)+", text)}


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_a_folder_imports_nothing_from_above_it(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        wrong = [name for name in imports(path) if name.split(".")[0] in FORBIDDEN[folder]]
        assert wrong == [], path


# Looks at an account before there is a site, and so knows what the bootstrap makes; it needs no CDK for that.
DOCTOR = ROOT / "control_plane/doctor"
OF_THE_BOOTSTRAP = (
    *("stacks.bootstrap", "stacks.names", "stacks.policies"),
    *("stacks.site.deploy_role", "stacks.site.host_policies", "stacks.site.policy_holders", "stacks.site.settings"),
)


# The contract between the control plane and the stacks, and where `app.py` and the control plane alike find the site's settings.
OF_THE_CONTRACT = tuple(f"stacks.{name}" for name in ("manifest", "store", "parts", "names", "limits", "policies", "denials"))
OF_THE_SITE = (*OF_THE_CONTRACT, "stacks.environment", "stacks.env_file")


def test_the_control_plane_knows_of_the_stacks_the_contract_and_the_site_s_settings_alone() -> None:
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


# What workers alone load, and start processes with.
WORKERS = ("control_plane.deployments.engine", "control_plane.deployments.deployers", "control_plane.worker.loop")


def test_the_web_process_loads_neither_cdk_nor_the_engine() -> None:
    script = "import sys, control_plane.wsgi, control_plane.urls; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment.as_dict(), capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "control_plane.administration.people" in loaded
    assert not {"aws_cdk", "jsii"} & loaded
    assert [name for name in loaded if name.startswith(WORKERS)] == []


def test_in_the_deployments_the_deployers_alone_start_processes() -> None:
    folder = ROOT / "control_plane/deployments"
    others = [path for path in folder.rglob("*.py") if not path.is_relative_to(folder / "deployers")]
    assert [path for path in others if "subprocess" in imports(path)] == []


def test_no_module_outgrows_four_hundred_lines() -> None:
    folders = ("stacks", "control_plane", "web", "local_aws", "scripts", "tests")
    long = [str(path) for folder in folders for path in (ROOT / folder).rglob("*.py") if len(path.read_text().splitlines()) > 400]
    assert long == []


# What puts the floors together, and may say which pages there are.
ROOTS = ("settings", "urls", "wsgi")


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "control_plane").parts[0].removesuffix(".py")


def test_no_string_of_the_control_plane_names_the_pages_but_in_what_puts_them_together() -> None:
    for path in (ROOT / "control_plane").rglob("*.py"):
        if room_of(path) not in ROOTS:
            assert [name for name in named(path) if name.startswith("web.")] == [], path


def floors() -> dict[str, dict[str, int]]:
    """The floors as import-linter has them: of each package of the control plane, its rooms with their layer, from above."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    contracts = [
        contract for contract in tools["importlinter"]["contracts"] if contract["type"] == "layers" and contract.get("exhaustive")
    ]
    return {
        container: {room.strip(): number for number, layer in enumerate(contract["layers"]) for room in layer.split("|")}
        for contract in contracts
        for container in contract["containers"]
    }


def is_upward(module: str, name: str, layers: dict[str, dict[str, int]]) -> bool:
    """Whether a module's string names one that is not below it, by the package in which their ways part."""
    container, parts, others = "", module.split("."), name.split(".")
    while parts and others and parts[0] == others[0]:
        container = f"{container}.{parts[0]}".strip(".")
        parts, others = parts[1:], others[1:]
    if container not in layers or not parts or not others:
        return False
    # One that is on no floor lies above them all, or is not there.
    return layers[container].get(others[0], -1) <= layers[container].get(parts[0], -1)


# Django's settings, and the part of them that EMAIL_URL makes: Django loads what they name once all floors are there.
SETTINGS = ("control_plane.settings", "control_plane.base.email_url")


def test_a_string_that_names_a_module_is_held_to_the_floors_as_an_import_is() -> None:
    layers = floors()
    assert {"control_plane", "control_plane.base", "control_plane.access"} <= layers.keys()
    for path in (ROOT / "control_plane").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if module not in SETTINGS:
            ours = [name for name in named(path) if name.startswith("control_plane.")]
            assert [name for name in ours if is_upward(module, name, layers)] == [], path


@pytest.mark.parametrize(
    ("module", "name", "is_wrong"),
    [
        ("control_plane.accounts.apps", "control_plane.access.groups.receivers", True),
        ("control_plane.access.keys.apps", "control_plane.access.limits.tasks.read_limits", True),
        ("control_plane.access.keys.apps", "control_plane.doctor.command", True),
        ("control_plane.access.keys.apps", "control_plane.access.groups.tasks", False),
        ("control_plane.access.keys.apps", "control_plane.access.keys.receivers", False),
        ("control_plane.research.jobs.apps", "control_plane.base.audit", False),
    ],
)
def test_what_is_upward_is_told_by_where_two_modules_part(module: str, name: str, is_wrong: bool) -> None:
    assert is_upward(module, name, floors()) is is_wrong


AWS, CONFIG = ROOT / "control_plane/base/aws.py", ROOT / "control_plane/base/config.py"


def product_without(*modules: Path) -> list[Path]:
    """The product's modules, but for these and the doctor, which looks at an account before there is a site."""
    found = [path for folder in ("control_plane", "web") for path in (ROOT / folder).rglob("*.py")]
    return [path for path in found if path not in modules and not path.is_relative_to(DOCTOR)]


def test_clients_for_aws_are_made_in_one_module() -> None:
    """Whoever makes one has boto3 imported: `boto3.client`, `boto3.Session` and `boto3.session` need that."""
    for path in product_without(AWS):
        makers = [name for name in imports(path) | strings(path) if re.match(r"(boto3|botocore\.session)(\.\w+)*$", name)]
        assert makers == [], path


def identifiers(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                found.add(name)
    return found


def test_the_site_s_account_and_region_are_read_in_one_module() -> None:
    for path in product_without(AWS, CONFIG):
        used = {name.lower() for name in identifiers(path) | strings(path)}
        assert used & {"cohort_account", "cohort_region"} == set(), path


def test_every_folder_with_an_app_is_installed() -> None:
    """Else its templates, static files and models are not found, and nothing says so before a page is opened."""
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts) for top in ("control_plane", "web") for path in (ROOT / top).rglob("apps.py")
    }
    assert folders - {config.name for config in apps.get_app_configs()} == set()
