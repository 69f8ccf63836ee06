"""What people and programs keep of a site, beside its database."""

import json
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data"
FILE = "kept.json"


@dataclass(frozen=True)
class Kept:
    """Of one release: cookies by address, a computer's tokens, an authenticator app's secret, and a file whose upload is in flight.

    `made_at` is when, in seconds since 1970: what the database dates is moved by the time since, so that nothing has run out.
    """

    version: str
    made_at: float
    secret_key: str
    sessions: dict[str, str]
    refresh_token: str
    access_token: str
    totp_secret: str
    upload: dict[str, Any]
    rows: dict[str, int]

    def write(self, folder: Path) -> None:
        """Write it into the release's folder."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1, sort_keys=True) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read that of a release's folder."""
        return cls(**json.loads((folder / FILE).read_text()))


def version_here() -> str:
    """Return the version that this checkout is."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def folder_of(version: str) -> Path:
    """Return where a release's fixtures lie."""
    return DATA / f"release-{version}"


def releases() -> list[Path]:
    """Return the folders of all releases whose fixtures are kept, oldest first."""
    return sorted(DATA.glob("release-*"), key=lambda path: [int(part) for part in path.name.removeprefix("release-").split(".")])
