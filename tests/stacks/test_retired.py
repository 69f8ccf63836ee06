"""A retired group has no stack, and whoever asks for it by hand is told so."""

from pathlib import Path

import aws_cdk as cdk
import pytest

from stacks.group.assembly import GroupRetired, add_stacks
from stacks.group.synthesiser import synthesise
from stacks.manifest import GroupManifest, Manifest
from stacks.store import open_store
from tests.stacks.builders import group_manifest, platform_manifest


@pytest.fixture
def store(tmp_path: Path) -> str:
    published: tuple[Manifest, ...] = (platform_manifest(), group_manifest(), retired())
    for manifest in published:
        open_store(str(tmp_path)).write(manifest.store_key, manifest.to_json())  # type: ignore[attr-defined]
    return str(tmp_path)


def retired() -> GroupManifest:
    return GroupManifest.build(generation=9, account="123456789012", region="us-east-1", slug="gone-lab", retired=True)


def test_by_name_it_is_refused_with_what_is_the_case(store: str) -> None:
    with pytest.raises(GroupRetired, match=r"'gone-lab' is retired.*nothing to synthesise, compare, deploy or destroy"):
        add_stacks(cdk.App(analytics_reporting=False), open_store(store), group="gone-lab")


def test_among_all_it_is_left_out_and_named(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    app = cdk.App(analytics_reporting=False)
    add_stacks(app, open_store(store))
    names = [stack.stack_name for stack in app.node.children if isinstance(stack, cdk.Stack)]
    assert "Group-example-lab" in names
    assert "Group-gone-lab" not in names
    assert "without Group-gone-lab: these groups are retired" in capsys.readouterr().err


def test_the_synthesiser_makes_none_and_the_others_all_the_same(tmp_path: Path) -> None:
    digests, errors = synthesise([retired(), group_manifest()], tmp_path / "assembly")
    assert list(digests) == ["Group-example-lab"]
    assert "is retired: it has no stack" in errors["Group-gone-lab"]
