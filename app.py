"""The CDK app. `-c group=<slug>` synthesises that group alone, `-c platform=1` the platform alone; without, all there is."""

import os
import sys
from pathlib import Path

import aws_cdk as cdk
from dotenv import load_dotenv

from stacks.assembly import add_platform, add_stacks
from stacks.manifest import ManifestError, ManifestNotFound, StoreUnavailable, names, open_store


def main() -> None:
    """Read the published manifests and synthesise; what is wrong with them is said in one line, without a stack trace."""
    var = Path(os.environ.get("VAR_DIR", "var"))
    load_dotenv(var / "env")
    app = cdk.App(analytics_reporting=False)
    try:
        store = open_store(os.environ.get("COHORT_MANIFEST_STORE") or str(var / "manifests"))
        if app.node.try_get_context("platform"):
            add_platform(app, store)
        else:
            add_stacks(app, store, group=app.node.try_get_context("group"))
    except (ManifestError, ManifestNotFound, StoreUnavailable, names.NameRefused, ValueError) as error:
        sys.exit(f"cohort: {error}")
    app.synth()


if __name__ == "__main__":
    main()
