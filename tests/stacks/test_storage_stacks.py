"""Storage stacks after the first: what they are called, where their manifests lie, and that the first one stays as it was."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import boto3
import pytest
from moto import mock_aws

from stacks import limits, names, parts
from stacks.group.assembly import add_platform, add_stacks
from stacks.manifest import MAX_BUCKETS, ManifestError, PlatformManifest, parse
from stacks.store import ManifestStore, open_store
from tests.stacks.builders import group_manifest, platform_manifest

ROOT = Path(__file__).resolve().parents[2]
FIRST, SECOND, TENTH = (
    platform_manifest(),
    platform_manifest(number=2, buckets=("cohort-more",)),
    platform_manifest(number=10, buckets=()),
)


def publish(store: ManifestStore, *manifests: PlatformManifest) -> None:
    for manifest in manifests:
        store.write(manifest.store_key, manifest.to_json())
    store.write("groups/example-lab.json", group_manifest().to_json())


def templates(store: ManifestStore, number: int | None = None) -> dict[str, Any]:
    app = cdk.App(analytics_reporting=False)
    add_stacks(app, store) if number is None else add_platform(app, store, number)
    return {stack.stack_name: stack.template for stack in app.synth().stacks}


def test_every_storage_stack_is_among_all_there_is_and_each_can_be_had_alone(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    publish(store, FIRST, SECOND, TENTH)
    everything = templates(store)
    assert everything.keys() == {"Cohort-Storage", "Cohort-Storage-2", "Cohort-Storage-10", "Group-example-lab"}
    for number, name in ((1, "Cohort-Storage"), (2, "Cohort-Storage-2"), (10, "Cohort-Storage-10")):
        assert templates(store, number) == {name: everything[name]}


def test_what_an_older_release_published_gives_the_template_that_it_gave(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    document = json.loads(FIRST.to_json())
    del document["number"]
    store.write("platform.json", json.dumps(document))
    before = templates(store, 1)
    publish(store, FIRST, SECOND)
    assert templates(store, 1) == before
    # A bucket's logical ID does not depend on its stack's number, and no name of the stack is in its template.
    same = platform_manifest(number=3)
    publish(store, same)
    assert templates(store, 3)["Cohort-Storage-3"] == before["Cohort-Storage"]


def test_a_full_storage_stack_fits_cloudformation(tmp_path: Path) -> None:
    buckets = tuple(f"cohort-{number:03d}-{'b' * 52}" for number in range(MAX_BUCKETS))
    assert {len(bucket) for bucket in buckets} == {names.BUCKET.longest}
    store = open_store(str(tmp_path))
    publish(store, platform_manifest(number=2, buckets=buckets, origins=(f"https://{'o' * 200}.example.org",)))
    (template,) = templates(store, 2).values()
    assert len(template["Resources"]) <= parts.RESOURCES_PER_STACK
    assert len(json.dumps(template, indent=1)) <= limits.TEMPLATE_BYTES
    with pytest.raises(ManifestError, match="at most 200"):
        platform_manifest(buckets=(*buckets, "cohort-one-too-many"))


def test_s3_lists_them_as_a_folder_does() -> None:
    with mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="cohort-manifests")
        store = open_store("s3://cohort-manifests/site")
        publish(store, FIRST, TENTH, SECOND)
        store.write("storage/readme.json", "{}")
        assert store.further_storage() == [2, 10]
        assert store.group_slugs() == ["example-lab"]


def test_a_manifest_under_another_s_number_is_refused(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.write("platform.json", FIRST.to_json())
    store.write("storage/3.json", SECOND.to_json())
    with pytest.raises(ManifestError, match=r"Cohort-Storage-3 is that of something else"):
        templates(store)


@pytest.mark.parametrize("number", [0, -1, 51, "2", True])
def test_a_number_that_is_none_is_refused(number: Any) -> None:
    with pytest.raises(ManifestError, match="number"):
        parse(json.dumps(json.loads(FIRST.to_json()) | {"number": number}))


def test_names_and_numbers_belong_together() -> None:
    assert [names.storage_number(names.storage_stack(number)) for number in (1, 2, 10, 50)] == [1, 2, 10, 50]
    for name in ("Cohort-Storage-1", "Cohort-Storage-02", "Cohort-Storage-", "Cohort-Host", "Group-storage-2"):
        with pytest.raises(ValueError, match=r"storage stack|invalid literal"):
            names.storage_number(name)


@pytest.mark.parametrize("context", ["first", "0x2"])
def test_a_storage_stack_is_chosen_by_its_number_alone(tmp_path: Path, context: str) -> None:
    publish(open_store(str(tmp_path)), FIRST)
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={
            "COHORT_MANIFEST_STORE": str(tmp_path),
            "VAR_DIR": str(tmp_path),
            "CDK_CONTEXT_JSON": json.dumps({"platform": context}),
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert (
        done.stderr.strip()
        == f"cohort: -c platform={context} names no storage stack; give its number, which is 1 for Cohort-Storage."
    )
