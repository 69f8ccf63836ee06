"""The data volume's file system: made where there is nothing, never where there may be something, and grown with its volume."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from assets.install import host, volume
from assets.install.host import Failed


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(host, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def device(root: Path) -> Path:
    path = root / "device"
    with path.open("wb") as file:
        file.truncate(16 * 1024 * 1024)
    return path


def test_a_blank_volume_gets_a_file_system_and_a_second_start_leaves_it(device: Path) -> None:
    volume.make_file_system(device)
    before = device.read_bytes()
    assert volume._probe(device)["LABEL"] == "cohort-data"
    volume.make_file_system(device)
    assert device.read_bytes() == before


@pytest.mark.parametrize("how", ["another label", "a partition table", "unknown content", "content at an odd place"])
def test_a_volume_that_may_hold_something_is_never_formatted(device: Path, how: str) -> None:
    if how == "another label":
        subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-L", "somebody", str(device)], check=True)
    elif how == "a partition table":
        with device.open("r+b") as file:
            file.seek(446)
            file.write(bytes([0, 0, 2, 0, 0x83, 0, 0, 0]) + (2048).to_bytes(4, "little") + (4096).to_bytes(4, "little"))
            file.seek(510)
            file.write(b"\x55\xaa")
    else:
        with device.open("r+b") as file:
            file.seek(0 if how == "unknown content" else 3_000_000)
            file.write(b"somebody's encrypted data")
    before = hashlib.sha256(device.read_bytes()).digest()
    with pytest.raises(Failed, match="was not touched"):
        volume.make_file_system(device)
    assert hashlib.sha256(device.read_bytes()).digest() == before


def test_the_file_system_grows_with_its_volume_without_a_new_start(
    root: Path, device: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As cohort-volume.timer has it: with e2fsprogs' own tools on a device; only where that is mounted is told by the test."""
    volume.make_file_system(device)
    real, mounted = host.run, str(device)

    def run(*words: object, **more: Any) -> str:
        return mounted if words[0] == "findmnt" else real(*words, **more)

    monkeypatch.setattr(volume, "run", run)
    monkeypatch.setattr(sys, "argv", ["volume"])
    before = volume._blocks(str(device))
    volume.main()
    assert volume._blocks(str(device)) == before
    assert "grew" not in capsys.readouterr().out, "a volume of the same size is nothing to tell of, each five minutes"
    os.truncate(device, 2 * device.stat().st_size)
    volume.main()
    assert int(volume._blocks(str(device))) == 2 * int(before)
    assert f"grew from {before} to" in capsys.readouterr().out
    mounted = ""
    with pytest.raises(SystemExit):
        volume.main()
    assert "Nothing is mounted" in capsys.readouterr().out


def test_a_device_that_does_not_appear_is_told(root: Path) -> None:
    with pytest.raises(Failed, match="did not appear"):
        volume.device_of("vol-0123456789abcdef0", seconds=0)
    link = root / "dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0"
    link.parent.mkdir(parents=True)
    (root / "dev/nvme1n1").touch()
    link.symlink_to(root / "dev/nvme1n1")
    assert volume.device_of("vol-0123456789abcdef0") == root / "dev/nvme1n1"
