"""The data volume: formatted where it is blank, mounted by its label, and grown when the volume has grown.

cohort-volume.timer runs this module. A larger `data_gib` changes Cohort-Backup alone, so no new host starts that could grow it.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from assets.install.host import DATA, Failed, host_path, log, run

LABEL = "cohort-data"
MOUNT = f"LABEL={LABEL} {DATA} ext4 defaults,nodev,nosuid,noexec,nofail,x-systemd.device-timeout=180s 0 2"
DEVICE_SECONDS = 120
# A new volume holds zeros alone, so that a look at its beginning tells it from one that somebody wrote to.
PROBED_BYTES = 4 * 1024 * 1024
NOTHING_FOUND = 2
NOTHING_MOUNTED = 1


def device_of(volume: str, seconds: float = DEVICE_SECONDS) -> Path:
    """Return the volume's device, once the kernel shows it. Raises Failed.

    NVMe devices are numbered as they come; the link is named for the volume ("Amazon EBS and NVMe", EC2 user guide).
    """
    link = host_path(f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume.replace('-', '')}")
    deadline = time.monotonic() + seconds
    while not link.exists():
        if time.monotonic() > deadline:
            raise Failed(
                f"The data volume {volume} is attached, but {link} did not appear in {seconds:.0f} s. Nothing was changed."
            )
        time.sleep(0.5)
    return link.resolve()


def make_file_system(device: Path) -> None:
    """Make a file system on an empty device; leave ours as it is; refuse whatever else there may be. Raises Failed."""
    attributes = _probe(device)
    if attributes.get("LABEL") == LABEL and attributes.get("TYPE") == "ext4":
        log(f"{device} holds the file system {LABEL}, which is kept as it is")
        return
    if attributes:
        what = ", ".join(f"{name} {value}" for name, value in sorted(attributes.items()))
        raise Failed(
            f"{device} was not touched: it holds something ({what}) that is not Cohort's ext4 file system labelled {LABEL}. "
            f"If it is Cohort's data, label it: e2label {device} {LABEL}. If not, see which volume was attached."
        )
    if not _is_blank(device):
        raise Failed(
            f"{device} was not touched: no file system is known on it, but it is not blank either. "
            "It may be damaged: look at it, or restore the volume from AWS Backup. Only a blank volume is formatted."
        )
    run("mkfs.ext4", "-q", "-L", LABEL, device)
    log(f"made a file system on {device}, which was blank")


def mount() -> None:
    """Mount the volume now and at each start, and let the file system fill it. Raises Failed."""
    fstab, target = host_path("/etc/fstab"), host_path(DATA)
    lines = fstab.read_text().splitlines() if fstab.exists() else []
    kept = [line for line in lines if line.split()[1:2] != [DATA]]
    fstab.write_text("\n".join([*kept, MOUNT]) + "\n")
    target.mkdir(parents=True, exist_ok=True)
    if os.path.ismount(target):
        log(f"{target} is mounted already")
    else:
        run("mount", target)
        log(f"mounted {LABEL} at {target}")
    grow()


def grow() -> None:
    """Let the mounted file system fill its device; change nothing where it does already. Raises Failed.

    EBS shows the new size as soon as a modification is being optimised, and ext4 grows while it is mounted (EC2 user guide,
    "Extend the file system after resizing an Amazon EBS volume"). The file system lies on the device itself, so no partition
    has to grow first.
    """
    target = host_path(DATA)
    device = run("findmnt", "--noheadings", "--output", "SOURCE", "--mountpoint", target, ok=(0, NOTHING_MOUNTED)).strip()
    if not device:
        raise Failed(f"Nothing is mounted at {target}, so no file system was grown. See the step 'data volume' in the boot log.")
    before = _blocks(device)
    run("resize2fs", device)
    if (after := _blocks(device)) != before:
        log(f"the file system on {device} grew from {before} to {after} blocks")


def main() -> None:
    """Grow the file system; end with status 1 and the reason when that fails."""
    parser = argparse.ArgumentParser(prog="assets.install.volume", description="Let the data volume's file system fill it.")
    parser.parse_args()
    try:
        grow()
    except Failed as failure:
        log(str(failure))
        sys.exit(1)


def _probe(device: Path) -> dict[str, str]:
    """Read blkid's attributes from the device itself and from no cache. Raises Failed where it finds several things at once."""
    said = run("blkid", "--probe", "--output", "export", device, ok=(0, NOTHING_FOUND))
    attributes = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    return {name: value for name, value in attributes.items() if name in ("LABEL", "TYPE", "PTTYPE", "USAGE")}


def _is_blank(device: Path) -> bool:
    with device.open("rb") as file:
        return not any(file.read(PROBED_BYTES))


def _blocks(device: str) -> str:
    """Return the number of blocks of the file system, by its own superblock."""
    said = run("dumpe2fs", "-h", device)
    return next((line.split(":")[1].strip() for line in said.splitlines() if line.startswith("Block count:")), "")


if __name__ == "__main__":
    main()
