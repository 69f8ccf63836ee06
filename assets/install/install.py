"""`install-release.sh`: verify, unpack and install a release, and put it into use."""

import argparse
import sys
from pathlib import Path

from assets.install import release, rollout
from assets.install.host import Failed, log


def main() -> None:
    """Install what the arguments name; end with status 1 and the reason when it is not in use afterwards."""
    parser = argparse.ArgumentParser(prog="install-release.sh", description="Put a release of Cohort into use on this host.")
    parser.add_argument("--sha256", required=True, help="The checksum of the release's archive.")
    parser.add_argument("--zip", type=Path, help="The archive; without it, the release was unpacked before.")
    options = parser.parse_args()
    try:
        install(options.sha256, options.zip)
    except Failed as failure:
        log(str(failure))
        sys.exit(1)


def install(sha256: str, archive: Path | None = None) -> None:
    """Install the release of this checksum. Raises Failed."""
    folder = release.unpack(archive, sha256) if archive else release.folder_of(sha256)
    if not folder.is_dir():
        raise Failed(f"{folder} is not there. Name its archive with --zip. Nothing was changed.")
    rollout.roll_out(folder)


if __name__ == "__main__":
    main()
