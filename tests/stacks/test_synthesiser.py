"""The process that keeps aws_cdk loaded: the same templates as `cdk synth`, and no manifest spoils another's."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from stacks.group import synthesiser
from stacks.manifest import AnalysisGrant, GroupManifest, Member
from stacks.policies import PolicyTooLarge
from stacks.store import open_store
from tests import environment
from tests.stacks.builders import ACCOUNT, ADA, GRACE, LISE, group_manifest, platform_manifest

ROOT = Path(__file__).resolve().parents[2]
GROUP = group_manifest(
    slug="whole-lab",
    generation=7,
    members=(Member(username=ADA, access="keys", key_serial=3), Member(username=GRACE, access="federated")),
    analyses=(
        AnalysisGrant(bucket="cohort-ephys", access="read-write"),
        AnalysisGrant(bucket="cohort-video", access="read-only"),
        AnalysisGrant(bucket="cohort-spikes", access="read-write"),
    ),
    revoked=(LISE,),
    sessions_not_before=1_700_000_000,
    tags={"cost-centre": "42"},
)
PLATFORM = platform_manifest()


class Process:
    """The real process, asked one thing after another."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stacks.group.synthesiser"],
            cwd=ROOT,
            env=environment.as_dict() | {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.first = json.loads(self.stdout.readline())

    def ask(self, manifests, output, **more):
        request = {"id": 1, "output": str(output), "manifests": manifests, **more}
        print(json.dumps(request), file=self.stdin, flush=True)
        return json.loads(self.stdout.readline())

    def end(self):
        self.stdin.close()
        status = self.process.wait(20)
        self.stdout.close()
        return status


@pytest.fixture(scope="module")
def process():
    started = Process()
    yield started
    if started.process.poll() is None:
        started.process.kill()
        started.process.wait()


def texts(*manifests):
    return {manifest.stack_name: manifest.to_json() for manifest in manifests}


def test_it_works(process, tmp_path):
    assert process.first == {"ready": True}
    answer = process.ask(texts(GROUP, PLATFORM), tmp_path / "out", id=5)
    assert (answer["id"], answer["errors"]) == (5, {})
    for name in ("Group-whole-lab", "Cohort-Storage"):
        template = json.loads((tmp_path / f"out/{name}.template.json").read_text())
        canonical = json.dumps(template, sort_keys=True, separators=(",", ":")).encode()
        assert answer["stacks"][name] == hashlib.sha256(canonical).hexdigest()
    assert json.loads((tmp_path / "out/manifest.json").read_text())["artifacts"].keys() >= set(answer["stacks"])


@pytest.mark.parametrize(("manifest", "context"), [(GROUP, "group=whole-lab"), (PLATFORM, "platform=1")], ids=["group", "platform"])
def test_its_templates_are_byte_for_byte_those_of_the_command_line(process, tmp_path, manifest, context):
    open_store(str(tmp_path / "store")).write(manifest.store_key, manifest.to_json())
    done = subprocess.run(
        [
            *(sys.executable, "scripts/cdk_command.py", "synth", "--quiet", "--no-notices"),
            *("--app", f"{sys.executable} app.py", "--context", context),
        ],
        cwd=ROOT,
        env={
            "COHORT_MANIFEST_STORE": str(tmp_path / "store"),
            "VAR_DIR": str(tmp_path),
            "HOME": str(Path.home()),
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "CDK_DISABLE_CLI_TELEMETRY": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # In the site's own folder: another site of this checkout may synthesise at the same time. Neighbours change nothing.
    process.ask(texts(group_manifest(slug="first-lab"), manifest, group_manifest(slug="last-lab")), tmp_path / "kept")
    template = f"{manifest.stack_name}.template.json"
    assert (tmp_path / "kept" / template).read_bytes() == (tmp_path / "cdk.out" / template).read_bytes()


def test_a_bad_manifest_does_not_spoil_its_neighbours(process, tmp_path):
    manifests = {"Group-bad": '{"version": 7}', "Group-worse": "{", **texts(GROUP)}
    answer = process.ask(manifests, tmp_path / "out")
    assert list(answer["stacks"]) == ["Group-whole-lab"]
    assert "version is 7" in answer["errors"]["Group-bad"]
    assert "not JSON" in answer["errors"]["Group-worse"]
    assert (tmp_path / "out/Group-whole-lab.template.json").exists()


def test_a_stack_that_breaks_half_way_is_named_and_left_out(process, tmp_path):
    # Two stacks of one name: the second cannot be added to the app.
    manifests = {"Group-whole-lab": GROUP.to_json(), "again": GROUP.to_json(), **texts(group_manifest())}
    answer = process.ask(manifests, tmp_path / "out")
    assert "already a Construct with name" in answer["errors"]["Group-whole-lab"]
    assert list(answer["stacks"]) == ["Group-example-lab"]
    assert not (tmp_path / "out/Group-whole-lab.template.json").exists()


def test_a_policy_that_is_too_large_names_the_group(tmp_path, monkeypatch):
    def refuse(manifest):
        if manifest.slug == "whole-lab":
            raise PolicyTooLarge("The group 'whole-lab' has 60 analyses, which need 11 managed policies; IAM attaches 10.")
        return []

    monkeypatch.setattr("stacks.policies.group_policies", refuse)
    digests, errors = synthesiser.synthesise([group_manifest(), GROUP], tmp_path / "out")
    assert list(digests) == ["Group-example-lab"]
    assert errors == {"Group-whole-lab": "The group 'whole-lab' has 60 analyses, which need 11 managed policies; IAM attaches 10."}


def test_where_every_stack_fails_there_is_no_assembly(process, tmp_path):
    answer = process.ask({"Group-bad": "{"}, tmp_path / "out")
    assert (answer["stacks"], list(answer["errors"])) == ({}, ["Group-bad"])
    assert not (tmp_path / "out").exists()


def test_it_survives_a_request_that_fails(process, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    answer = process.ask(texts(GROUP), tmp_path / "file/out", id=8)
    assert (answer["id"], sorted(answer)) == (8, ["failed", "id"])
    assert process.ask(texts(GROUP), tmp_path / "out")["errors"] == {}


def test_the_same_manifests_give_the_same_templates_whatever_was_made_before(process, tmp_path):
    first, second = (process.ask(texts(GROUP, PLATFORM), tmp_path / name)["stacks"] for name in ("one", "two"))
    assert first == second
    changed = GroupManifest.build(**(GROUP.model_dump() | {"generation": 8}))
    assert process.ask(texts(changed), tmp_path / "three")["stacks"]["Group-whole-lab"] != first["Group-whole-lab"]
    assert ACCOUNT in (tmp_path / "one/manifest.json").read_text()


def test_it_ends_with_its_input(process):
    assert process.end() == 0
