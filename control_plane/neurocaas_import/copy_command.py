"""Command that copies a group's data from the predecessor's folder to the present one. It is only printed."""

import shlex

from control_plane.base.aws import Place
from control_plane.neurocaas_import.pipelines import Use

# S3's limit for a key; no folder's name is longer.
MAX_KEY_CHARACTERS = 1024


def copy_command(old_name: str, slug: str, use: Use, region: str) -> str:
    """Return the command for one analysis; '' if the data is at its place already.

    `sync` may be repeated: it copies what is missing, and deletes nothing. For a name that cannot be typed in a terminal, a comment
    is returned instead.
    """
    if (old_name, use.old_bucket) == (slug, use.bucket):
        return ""
    source, target = f"s3://{use.old_bucket}/{old_name}/", f"s3://{use.bucket}/{slug}/"
    if not source.isprintable() or len(source) > MAX_KEY_CHARACTERS:
        return f"# The old folder in {use.old_bucket} has a name that cannot be typed; copy it to {target} by hand."
    ours = Place.of_site().region
    elsewhere = ["--source-region", region, "--region", ours] if region not in ("", ours) else []
    return shlex.join(["aws", "s3", "sync", source, target, *elsewhere])
