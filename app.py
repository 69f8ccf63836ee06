"""The CDK app: synthesises the stacks of the published manifests and of the site.

`-c group=<slug>` synthesises that group alone, `-c platform=<number>` one storage stack; without either, all of them, which
includes the site's host and backups where there is a `site.toml`, or another file by `-c site=<path>`.
"""

import os
import sys
from importlib import import_module
from pathlib import Path

import aws_cdk as cdk

from stacks import environment, names
from stacks.group.assembly import add_platform, add_stacks
from stacks.manifest import ManifestError
from stacks.site.settings import SITE_FILE, read_site
from stacks.store import ManifestNotFound, StoreUnavailable, open_store


def main() -> None:
    """Read the published manifests and synthesise; report a manifest error in one line, without a stack trace."""
    var = Path(os.environ.get("VAR_DIR", "var"))
    try:
        environment.load(var)
        app = cdk.App(analytics_reporting=False)
        store = open_store(os.environ.get("COHORT_MANIFEST_STORE") or str(var / "manifests"))
        if platform := app.node.try_get_context("platform"):
            add_platform(app, store, _number(platform))
        else:
            group = app.node.try_get_context("group")
            add_stacks(app, store, group=group)
            if group is None:
                _add_site(app)
    except (ManifestError, ManifestNotFound, StoreUnavailable, names.NameRefused, ValueError) as error:
        sys.exit(f"cohort: {error}")
    app.synth()


def _number(platform: object) -> int:
    if not (text := str(platform)).isdecimal():
        raise ValueError(f"-c platform={text} names no storage stack; give its number, which is 1 for Cohort-Storage.")
    return int(text)


def _add_site(app: cdk.App) -> None:
    """Add the site's own stacks where its settings file exists, or must exist since `-c site` names it."""
    named = app.node.try_get_context("site")
    path = Path(named) if named else SITE_FILE
    if named or path.exists():
        # Loaded now: a group's deployment waits for its synthesis, and needs none of the site's modules.
        import_module("stacks.site.assembly").add_site(app, read_site(path, size=app.node.try_get_context("size")))


if __name__ == "__main__":
    main()
