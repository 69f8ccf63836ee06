"""The command that copies a group's data from where the predecessor kept it to where it is looked for now. Nothing runs it here."""

import shlex

from control_plane.base.aws import Place
from control_plane.neurocaas_import.pipelines import Use

# The longest name of an object in S3; no folder's is longer.
LONGEST_KEY = 1024


def copy_command(old_name: str, slug: str, use: Use, region: str) -> str:
    """The command for one analysis; empty where the data lies at its place already.

    `sync` may be run again: it copies what is not there yet, and deletes nothing. A name that no terminal can be given has no
    command, but a sentence.
    """
    if (old_name, use.old_bucket) == (slug, use.bucket):
        return ""
    source, target = f"s3://{use.old_bucket}/{old_name}/", f"s3://{use.bucket}/{slug}/"
    if not source.isprintable() or len(source) > LONGEST_KEY:
        return f"# The old folder in {use.old_bucket} has a name that cannot be typed; copy it to {target} by hand."
    ours = Place.of_site().region
    elsewhere = ["--source-region", region, "--region", ours] if region not in ("", ours) else []
    return shlex.join(["aws", "s3", "sync", source, target, *elsewhere])
