"""What each release left is opened by this code; and the release's own code serves its pages on the newest schema."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local_aws.server import EmbeddedAws, free_port
from stacks.environment import isolated
from tests.local_aws.helpers import client
from tests.releases import code
from tests.releases.kept import ROOT, Kept, releases

pytestmark = pytest.mark.timeout(300)
PART = 5 * 2**20
# Run by a release's own code: its AWS gets two versions of a file, and one that came in parts.
FILL = """
import json, sys
from pathlib import Path
from local_aws.server import EmbeddedAws, free_port
from tests.local_aws.helpers import client

state, size = Path(sys.argv[1]), int(sys.argv[2])
with EmbeddedAws(free_port(), state) as aws:
    s3 = client(aws, "s3")
    s3.create_bucket(Bucket="kept")
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    versions = [s3.put_object(Bucket="kept", Key="small", Body=body)["VersionId"] for body in (b"first", b"second")]
    target = {"Bucket": "kept", "Key": "joined"}
    begun = s3.create_multipart_upload(**target, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")["UploadId"]
    part = lambda number: {"PartNumber": number, "Body": bytes([number]) * size, "ChecksumAlgorithm": "CRC32"}
    put = lambda number: s3.upload_part(**target, UploadId=begun, **part(number))
    parts = [{"PartNumber": n, "ETag": (got := put(n))["ETag"], "ChecksumCRC32": got["ChecksumCRC32"]} for n in (1, 2)]
    whole = s3.complete_multipart_upload(**target, UploadId=begun, MultipartUpload={"Parts": parts})
print(json.dumps({"versions": versions, "whole": [whole["ETag"], whole["ChecksumCRC32"]]}))
"""


def run(folder: Path, *words: str, text: str = "") -> str:
    """Run a module of the code in a folder, and return what it said; it has to end well."""
    clean = {name: value for name, value in isolated(os.environ).items() if name != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=folder, env=clean, input=text, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("release", releases(), ids=lambda release: release.name)
def test_a_site_of_a_release_goes_on_with_this_code_and_back(release: Path, tmp_path: Path) -> None:
    """Forward: everybody goes on. Back, while a host is replaced: the release's own code on the schema of today."""
    newest = tmp_path / "newest.sqlite3"
    said = run(ROOT, "-m", "tests.releases", "open", str(release), "--keep", str(newest))
    assert f"Everybody goes on where they were in {Kept.read(release).version}." in said
    old = tmp_path / "code"
    code.unpack(release / "code.tar.xz", old)
    said = run(old, "-m", "tests.releases", "visit", str(release), str(newest))
    assert "Everybody goes on where they were" in said


@pytest.mark.parametrize("release", releases(), ids=lambda release: release.name)
def test_the_embedded_aws_goes_on_with_what_a_release_put_into_it(release: Path, tmp_path: Path) -> None:
    old, state = tmp_path / "code", tmp_path / "aws"
    code.unpack(release / "code.tar.xz", old)
    left = json.loads(run(old, "-c", FILL, str(state), str(PART)))
    whole = b"\1" * PART + b"\2" * PART
    with EmbeddedAws(free_port(), state) as aws:
        s3 = client(aws, "s3")

        def read(key: str, **version: str) -> bytes:
            body: bytes = s3.get_object(Bucket="kept", Key=key, **version)["Body"].read()
            return body

        assert [read("small", VersionId=version) for version in left["versions"]] == [b"first", b"second"]
        assert read("small") == b"second"
        assert read("joined") == whole
        head = s3.head_object(Bucket="kept", Key="joined", ChecksumMode="ENABLED")
        assert [head["ETag"], head["ChecksumCRC32"]] == left["whole"]
