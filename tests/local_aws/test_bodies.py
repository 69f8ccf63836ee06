"""Bodies of S3's objects: references on disk, through joins, copies, versions, deletions, restarts and power cuts."""

import hashlib
import json
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local_aws import _settings
from local_aws.server import EmbeddedAws, free_port
from tests.control_plane.processes import wait_until
from tests.local_aws.helpers import client

ROOT = Path(__file__).resolve().parents[2]
MIB = 2**20
# 251 bytes again and again, a prime: a byte from the wrong place is another one.
PARTS = [bytes(range(number, number + 251)) * (5 * MIB // 251 + 1 + number) for number in range(3)]
WHOLE = b"".join(PARTS)
BUCKET = "bodies"
SECONDS = 10.0


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("aws")


@pytest.fixture(scope="module")
def running(state: Path) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), state) as started:
        yield started


@pytest.fixture
def aws(running: EmbeddedAws, state: Path) -> Iterator[EmbeddedAws]:
    """A running one with one empty bucket that keeps versions; afterwards it holds no body any more."""
    s3 = client(running, "s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    yield running
    listed = s3.list_object_versions(Bucket=BUCKET)
    for entry in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
        s3.delete_object(Bucket=BUCKET, Key=entry["Key"], VersionId=entry["VersionId"])
    s3.delete_bucket(Bucket=BUCKET)
    assert files(state) == []


def files(state: Path) -> list[Path]:
    return list((state / _settings.BODIES_FOLDER).iterdir())


def joined(s3: Any, key: str) -> dict[str, Any]:
    """Upload the parts, the last first, one twice and one that is not used; complete with the others."""
    upload = {"Bucket": BUCKET, "Key": key, "UploadId": s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]}
    for number in (4, 2):
        s3.upload_part(**upload, PartNumber=number, Body=b"not this one")
    etags = {number: s3.upload_part(**upload, PartNumber=number, Body=PARTS[number - 1])["ETag"] for number in (3, 2, 1)}
    parts = [{"PartNumber": number, "ETag": etags[number]} for number in (1, 2, 3)]
    return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})  # type: ignore[no-any-return]


def before_and_after(aws: EmbeddedAws, end: Callable[[], None]) -> Iterator[None]:
    """Return twice, the second time once it has ended so and started again."""
    yield
    end()
    aws.start()
    yield


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def read(s3: Any, key: str, **options: Any) -> bytes:
    return s3.get_object(Bucket=BUCKET, Key=key, **options)["Body"].read()  # type: ignore[no-any-return]


def test_a_joined_object_is_its_parts_before_and_after_a_power_cut_and_the_other_parts_are_gone(
    aws: EmbeddedAws, state: Path
) -> None:
    s3 = client(aws, "s3")
    etag = joined(s3, "whole")["ETag"]
    assert etag == f'"{md5(b"".join(bytes.fromhex(md5(part)) for part in PARTS))}-3"'
    for _ in before_and_after(aws, aws.kill):
        found = s3.get_object(Bucket=BUCKET, Key="whole")
        assert (found["ETag"], found["ContentLength"], found["Body"].read()) == (etag, len(WHOLE), WHOLE)
        seam = len(PARTS[0])
        for first, last in ((seam - 3, seam + 3), (seam, seam), (0, len(WHOLE) - 2), (len(WHOLE) - 1, len(WHOLE) + 9)):
            assert read(s3, "whole", Range=f"bytes={first}-{last}") == WHOLE[first : last + 1]
        assert read(s3, "whole", Range="bytes=-7") == WHOLE[-7:]
        assert len(files(state)) == len(PARTS)


def test_a_part_of_a_completed_upload_is_read_by_its_number(aws: EmbeddedAws) -> None:
    s3 = client(aws, "s3")
    joined(s3, "numbered")
    assert read(s3, "numbered", PartNumber=2) == PARTS[1]


def test_a_copy_and_a_copied_part_need_no_bytes_of_their_own_and_outlive_their_source(aws: EmbeddedAws, state: Path) -> None:
    s3, source = client(aws, "s3"), {"Bucket": BUCKET, "Key": "source"}
    version = joined(s3, "source")["VersionId"]
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=source)
    upload = {"Bucket": BUCKET, "Key": "pasted", "UploadId": s3.create_multipart_upload(Bucket=BUCKET, Key="pasted")["UploadId"]}
    first, last = len(PARTS[0]) - 9, len(PARTS[0]) + 5 * MIB
    part = s3.upload_part_copy(**upload, PartNumber=1, CopySource=source, CopySourceRange=f"bytes={first}-{last}")
    etag = part["CopyPartResult"]["ETag"]
    pasted = WHOLE[first : last + 1]
    assert etag == f'"{md5(pasted)}"'
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert len(files(state)) == len(PARTS)
    s3.delete_object(**source, VersionId=version)
    for _ in before_and_after(aws, aws.kill):
        assert (read(s3, "copy"), read(s3, "pasted")) == (WHOLE, pasted)
    copied = s3.list_object_versions(Bucket=BUCKET, Prefix="copy")["Versions"][0]["VersionId"]
    s3.delete_object(Bucket=BUCKET, Key="copy", VersionId=copied)
    # The last part's bytes are in none any more.
    assert len(files(state)) == 2
    assert read(s3, "pasted") == pasted


def test_each_version_keeps_its_body_and_takes_it_along(aws: EmbeddedAws, state: Path) -> None:
    s3 = client(aws, "s3")
    bodies = {s3.put_object(Bucket=BUCKET, Key="changed", Body=body)["VersionId"]: body for body in (b"one", b"", b"three")}
    s3.put_object_tagging(Bucket=BUCKET, Key="changed", Tagging={"TagSet": [{"Key": "stage", "Value": "raw"}]})
    marker = s3.delete_object(Bucket=BUCKET, Key="changed")["VersionId"]
    for _ in before_and_after(aws, aws.stop):
        assert {version: read(s3, "changed", VersionId=version) for version in bodies} == bodies
    s3.delete_object(Bucket=BUCKET, Key="changed", VersionId=marker)
    assert read(s3, "changed") == b"three"
    assert s3.get_object_tagging(Bucket=BUCKET, Key="changed")["TagSet"] == [{"Key": "stage", "Value": "raw"}]
    *_, newest = bodies
    s3.delete_object(Bucket=BUCKET, Key="changed", VersionId=newest)
    for _ in before_and_after(aws, aws.stop):
        assert read(s3, "changed") == b""
        assert len(files(state)) == 2


def test_without_versions_a_body_goes_with_its_successor(running: EmbeddedAws, state: Path) -> None:
    s3 = client(running, "s3")
    s3.create_bucket(Bucket="unversioned")
    for body in (b"one", b"two"):
        s3.put_object(Bucket="unversioned", Key="changed", Body=body)
        assert [file.read_bytes() for file in files(state)] == [body]
    upload = {"Bucket": "unversioned", "Key": "left"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    s3.upload_part(**upload, PartNumber=1, Body=b"part")
    assert len(files(state)) == 2
    s3.abort_multipart_upload(**upload)
    s3.delete_object(Bucket="unversioned", Key="changed")
    assert files(state) == []
    s3.delete_bucket(Bucket="unversioned")


def test_a_large_object_is_never_in_memory(aws: EmbeddedAws) -> None:
    s3, block = client(aws, "s3"), bytes(16 * MIB)
    s3.put_object(Bucket=BUCKET, Key="block", Body=block)
    peak = memory_peak(aws)
    upload = {"Bucket": BUCKET, "Key": "large", "UploadId": s3.create_multipart_upload(Bucket=BUCKET, Key="large")["UploadId"]}
    source = {"Bucket": BUCKET, "Key": "block"}
    parts = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part_copy(**upload, PartNumber=number, CopySource=source)["CopyPartResult"]["ETag"],
        }
        for number in range(1, 17)
    ]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    body = s3.get_object(Bucket=BUCKET, Key="large")["Body"]
    assert sum(len(piece) for piece in body.iter_chunks(MIB)) == 16 * len(block)
    assert memory_peak(aws) - peak < 4 * len(block)


def test_who_goes_away_in_the_middle_of_an_answer_leaves_nothing_behind(aws: EmbeddedAws, state: Path) -> None:
    s3 = client(aws, "s3")
    version = s3.put_object(Bucket=BUCKET, Key="left", Body=bytes(32 * MIB))["VersionId"]
    body = s3.get_object(Bucket=BUCKET, Key="left")["Body"]
    body.read(MIB)
    # What is being read stays until it is read, or nobody reads it.
    s3.delete_object(Bucket=BUCKET, Key="left", VersionId=version)
    body.close()
    assert wait_until(lambda: files(state) == [], SECONDS)


def memory_peak(aws: EmbeddedAws) -> int:
    """The most bytes that its process ever had in memory."""
    status = Path(f"/proc/{aws.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024


# In a process of its own: ministack reads its settings while it is imported. Each argument is something to be done.
PROGRAM = """
import hashlib, json, os, sys
from pathlib import Path
from local_aws import _settings
state, *steps = sys.argv[1:]
state = Path(state)
_settings.apply(1, state)
from ministack.services import s3

def ask(method, key="", body=b"", headers=None, **query):
    answer = s3._dispatch(method, "cut-off", key, headers or {}, body, {name: [value] for name, value in query.items()})
    assert answer[0] < 300, answer
    return answer

def install():
    from local_aws import _bodies
    _bodies.install(state / _settings.BODIES_FOLDER)

def versions(status="Enabled"):
    s3._bucket_versioning["cut-off"] = status

def put(body):
    ask("PUT", "a/key", body.encode())

def join(*bodies):
    begun = ask("POST", "a/key", uploads="")[2]
    upload = {"uploadId": begun.partition(b"<UploadId>")[2].partition(b"<")[0].decode()}
    for number, body in enumerate(bodies, 1):
        ask("PUT", "a/key", body.encode(), partNumber=str(number), **upload)
    numbers = "".join(f"<Part><PartNumber>{number}</PartNumber></Part>" for number, _ in enumerate(bodies, 1))
    ask("POST", "a/key", f"<CompleteMultipartUpload>{numbers}</CompleteMultipartUpload>".encode(), **upload)

def copy(source, **headers):
    ask("PUT", "a/key", headers={"x-amz-copy-source": f"cut-off/{source}", **headers})

def copy_with_checksum(source):
    copy(source, **{"x-amz-sdk-checksum-algorithm": "SHA256"})
    print(json.dumps(ask("HEAD", "a/key", headers={"x-amz-checksum-mode": "ENABLED"})[1]))

def data():
    print(json.dumps(s3._get_object_data("cut-off", "a/key").decode()))

def cut(moment):
    def cut_off(call):
        def called(*paths):
            if moment == "after":
                call(*paths)
            os._exit(9)
        return called
    os.replace, os.remove = cut_off(os.replace), cut_off(os.remove)

def of(headers, body):
    return [body.decode(), headers["ETag"] == f'"{hashlib.md5(body).hexdigest()}"' or "-" in headers["ETag"]]

def delete():
    ask("DELETE", "a/key")

def other_ministack():
    s3._complete_multipart_upload = s3._put_object

def lose_half_of_a_copy():
    from local_aws._bodies import Store, joined
    folder = state / _settings.BODIES_FOLDER
    store = Store(folder)
    bodies = [store.write(body) for body in (b"one", b"two")]
    (folder / bodies[0].named()[0][0]).unlink()
    started = Store(folder)
    found = [started.find(body.named()) for body in (joined(bodies), bodies[1])]
    started.remove_unnamed()
    print(json.dumps([body and body.read().decode() for body in found]))

def show():
    kept = s3._object_versions.get(("cut-off", "a/key"), [])
    history = [of(*ask("GET", "a/key", versionId=entry["version_id"])[1:]) for entry in kept if "data" in entry]
    current = of(*ask("GET", "a/key")[1:]) if "a/key" in s3._buckets["cut-off"]["objects"] else None
    files = sorted(file.read_text() for file in (state / _settings.BODIES_FOLDER).iterdir())
    others = [str(file) for file in (state / "objects").rglob("*") if file.is_file() and not file.name.endswith(".json")]
    print(json.dumps({"current": current, "history": history, "files": files, "others": others}))

if not s3._buckets.get("cut-off"):
    ask("PUT")
for step in steps:
    name, _, argument = step.partition(":")
    vars()[name](*argument.split(",") if argument else ())
"""


def run(state: Path, *steps: str, dies: bool = False) -> Any:
    """What the last step shows; None where the process is to be cut off."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(state), *steps], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == (9 if dies else 0), done.stderr
    return json.loads(done.stdout or "null")


@pytest.mark.parametrize(
    ("versions", "step", "body"),
    [
        ("Enabled", "put:new", "new"),
        ("Suspended", "put:new", "new"),
        ("", "put:new", "new"),
        ("Enabled", "join:ne,w", "new"),
        ("", "copy:a/key", "old"),
    ],
)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_write_that_is_cut_off_has_happened_or_not(tmp_path: Path, versions: str, step: str, body: str, moment: str) -> None:
    setting = [f"versions:{versions}"] if versions else []
    run(tmp_path, "install", *setting, "put:old", f"cut:{moment}", step, dies=True)
    found = run(tmp_path, "install", "show")
    current = body if moment == "after" else "old"
    assert found["current"] == [current, True]
    kept = ["old", "new"] if versions == "Enabled" and moment == "after" else [current]
    assert found["history"] == ([[held, True] for held in kept] if versions else [])
    assert sorted("".join(found["files"])) == sorted("".join(kept))


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_deletion_that_is_cut_off_leaves_nothing_by_halves(tmp_path: Path, moment: str) -> None:
    run(tmp_path, "install", "put:old", f"cut:{moment}", "delete", dies=True)
    assert run(tmp_path, "install", "show") == {"current": None, "history": [], "files": [], "others": []}
    assert run(tmp_path, "install", "put:new", "show")["current"] == ["new", True]


def test_a_file_that_is_left_of_a_lost_body_stays_for_a_copy(tmp_path: Path) -> None:
    assert run(tmp_path, "lose_half_of_a_copy") == [None, "two"]


def test_another_completion_in_ministack_is_noticed_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="in another way now"):
        run(tmp_path, "other_ministack", "install")


def test_a_copy_gets_the_checksum_that_it_asks_for(tmp_path: Path) -> None:
    headers = run(tmp_path, "install", "join:ne,w", "copy_with_checksum:a/key")
    assert headers["x-amz-checksum-sha256"] == b64encode(hashlib.sha256(b"new").digest()).decode()


def test_other_services_get_the_bytes(tmp_path: Path) -> None:
    assert run(tmp_path, "install", "join:ne,w", "data") == "new"


def test_half_a_body_is_removed_and_the_earlier_one_stays(tmp_path: Path) -> None:
    run(tmp_path, "install", "put:old", "show")
    (tmp_path / _settings.BODIES_FOLDER / "0123456789abcdef").write_text("ne")
    assert run(tmp_path, "install", "show") == {"current": ["old", True], "history": [], "files": ["old"], "others": []}


def test_half_a_body_that_was_whole_is_no_object(tmp_path: Path) -> None:
    run(tmp_path, "install", "put:old")
    (body,) = files(tmp_path)
    body.write_text("ol")
    assert run(tmp_path, "install", "show") == {"current": None, "history": [], "files": [], "others": []}


def test_nothing_is_removed_where_a_sidecar_cannot_be_read(tmp_path: Path) -> None:
    run(tmp_path, "install", "put:old", "show")
    (sidecar,) = (tmp_path / "objects").rglob("*.meta.json")
    sidecar.write_text("{")
    assert run(tmp_path, "install", "show")["files"] == ["old"]


@pytest.mark.parametrize(("versions", "moment"), [("Enabled", "before"), ("Enabled", "after"), ("Enabled", "never"), ("", "never")])
def test_bodies_of_before_are_taken_over_cut_off_or_not(tmp_path: Path, versions: str, moment: str) -> None:
    setting = [f"versions:{versions}"] if versions else []
    run(tmp_path, *setting, "put:one", "put:two")
    if moment != "never":
        run(tmp_path, f"cut:{moment}", "install", dies=True)
    for _ in range(2):
        found = run(tmp_path, "install", "show")
        assert found["current"] == ["two", True]
        assert [held for held, _ in found["history"]] == (["one", "two"] if versions else [])
        assert found["files"] == (["one", "two"] if versions else ["two"])
        assert found["others"] == []
