"""Manifests into an assembly by a process that is kept: what becomes of a run when it refuses, hangs or dies."""

import sys

import pytest

from control_plane.deployments.deployers import synthesis
from control_plane.deployments.deployers.synthesis import Synthesiser, SynthesisFailed
from control_plane.deployments.models import Failure
from tests.control_plane.fakes import configure
from tests.control_plane.processes import wait_until

STAND_IN = """
import json, os, pathlib, sys

print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    manifests = request["manifests"]
    if "Dies" in manifests:
        os._exit(1)
    if "Hangs" in manifests:
        continue
    answer = {"id": request["id"], "failed": "OSError: no room"}
    if "Fails" not in manifests:
        pathlib.Path(request["output"]).mkdir()
        refused = {name: text for name, text in manifests.items() if text.startswith("bad")}
        answer = {"id": request["id"], "stacks": {name: "d" * 64 for name in manifests if name not in refused}, "errors": refused}
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def synthesiser(monkeypatch, tmp_path):
    configure(monkeypatch, "deployers._environment", var_dir=tmp_path)
    kept = Synthesiser()
    monkeypatch.setattr(kept._kept, "_command", [sys.executable, "-c", STAND_IN])
    yield kept
    kept.end()


def problem(synthesiser, name):
    with pytest.raises(SynthesisFailed) as error, synthesiser.assembly({name: "{}"}):
        pass
    return error.value.problem


def test_it_works(synthesiser, tmp_path):
    with synthesiser.assembly({"Group-x": "{}"}) as assembly:
        assert assembly.digests == {"Group-x": "d" * 64}
        assert assembly.folder.is_relative_to(tmp_path / "cdk")
        assert assembly.folder.exists()
    assert list((tmp_path / "cdk").iterdir()) == []


def test_a_manifest_that_is_refused_is_a_problem_of_its_own_stack_that_waits_for_somebody(synthesiser):
    with synthesiser.assembly({"Group-x": "{}", "Group-bad": "bad field"}) as assembly:
        assert list(assembly.digests) == ["Group-x"]
        assert list(assembly.problems) == ["Group-bad"]
        assert (assembly.problems["Group-bad"].error, assembly.problems["Group-bad"].kind) == ("bad field", Failure.PERMANENT)


@pytest.mark.parametrize(("name", "says"), [("Dies", "ended unexpectedly"), ("Fails", "no room"), ("Hangs", "within 1 s")])
def test_what_goes_wrong_is_tried_again_and_leaves_nothing_behind(synthesiser, monkeypatch, tmp_path, name, says):
    configure(monkeypatch, "deployers.synthesis", cohort_synth_seconds=1)
    found = problem(synthesiser, name)
    assert says in found.error
    assert found.kind == Failure.RETRYABLE
    assert list((tmp_path / "cdk").iterdir()) == []
    with synthesiser.assembly({"Group-x": "{}"}) as assembly:
        assert list(assembly.digests) == ["Group-x"]


def test_a_disk_without_room_is_said_and_tried_again(synthesiser, monkeypatch):
    def refuse(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("control_plane.deployments.deployers.synthesis.tempfile.mkdtemp", refuse)
    found = problem(synthesiser, "Group-x")
    assert "No space left on device" in found.error
    assert found.kind == Failure.RETRYABLE


def test_after_many_stacks_a_fresh_process_takes_over(synthesiser, monkeypatch):
    monkeypatch.setattr(synthesis, "STACKS_PER_PROCESS", 2)
    with synthesiser.assembly({"Group-x": "{}"}):
        first = synthesiser.pid
    with synthesiser.assembly({"Group-x": "{}"}):
        pass
    wait_until(lambda: synthesiser.pid not in (None, first))
    with synthesiser.assembly({"Group-x": "{}"}) as assembly:
        assert list(assembly.digests) == ["Group-x"]
