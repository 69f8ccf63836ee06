"""`python -m stacks.group.synthesiser`: a process that keeps jsii and aws_cdk loaded, and turns manifests into assemblies.

Reads one JSON object a line from standard input, `{"id", "output", "manifests": {stack: text}}`, writes the assembly of those
manifests into the folder `output`, and answers one line: `{"id", "stacks": {name: template's SHA-256}, "errors": {name: message}}`.
A manifest that cannot be synthesised is left out and named under `errors`. It ends with its standard input.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import aws_cdk as cdk

from stacks.group.group_stack import GroupStack
from stacks.group.storage_stack import StorageStack
from stacks.manifest import GroupManifest, ManifestError, PlatformManifest, parse
from stacks.policies import PolicyTooLarge

AnyManifest = GroupManifest | PlatformManifest

# What the CDK command line tells an app, so that both ways give the same templates byte for byte.
CONTEXT = {
    "aws:cdk:enable-path-metadata": True,
    "aws:cdk:enable-asset-metadata": True,
    "aws:cdk:disable-version-reporting": True,
    "aws:cdk:bundling-stacks": ["**"],
}


def synthesise(manifests: Sequence[AnyManifest], output: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Write the assembly of these manifests. Returns the templates' SHA-256 and the errors, both by the stack's name."""
    errors: dict[str, str] = {}
    while True:
        wanted = [manifest for manifest in manifests if manifest.stack_name not in errors]
        failed = _write(wanted, output) if wanted else None
        if failed is None:
            break
        name, message = failed
        errors[name] = message
        # A stack that broke half-way is part of its app for ever: the others go into a fresh one.
        shutil.rmtree(output, ignore_errors=True)
    digests = {manifest.stack_name: template_digest(output / f"{manifest.stack_name}.template.json") for manifest in wanted}
    return digests, errors


def template_digest(path: Path) -> str:
    """Return the SHA-256 of a template, independent of its white space and order of keys."""
    return hashlib.sha256(json.dumps(json.loads(path.read_bytes()), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _write(manifests: Sequence[AnyManifest], output: Path) -> tuple[str, str] | None:
    app = cdk.App(analytics_reporting=False, outdir=str(output), context=CONTEXT)
    for manifest in manifests:
        if isinstance(manifest, GroupManifest) and manifest.retired:
            return manifest.stack_name, f"The group {manifest.slug!r} is retired: it has no stack, and none is made."
        try:
            StorageStack(app, manifest) if isinstance(manifest, PlatformManifest) else GroupStack(app, manifest)
        except (PolicyTooLarge, RuntimeError) as error:
            return manifest.stack_name, str(error)
    app.synth()
    return None


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    manifests, errors = [], {}
    for name, text in request["manifests"].items():
        try:
            manifests.append(parse(text))
        except ManifestError as error:
            errors[name] = str(error)
    digests, refused = synthesise(manifests, Path(request["output"]))
    return {"id": request["id"], "stacks": digests, "errors": errors | refused}


def serve(requests: TextIO, answers: TextIO) -> None:
    """Answer requests until they end."""
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in requests:
        request = json.loads(line)
        try:
            answer = _answer(request)
        except Exception as error:
            # Whatever goes wrong with one request is that request's answer; the process stays for the next.
            answer = {"id": request.get("id"), "failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


def _warm_up() -> None:
    """Have jsii load everything that a group needs now rather than with the first request."""
    group = GroupManifest.build(generation=1, account="0" * 12, region="us-east-1", slug="warm-up")
    with tempfile.TemporaryDirectory() as folder:
        synthesise([group], Path(folder) / "assembly")


def main() -> None:
    """Keep standard output for the answers alone: jsii, or whatever it loads, may print."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _warm_up()
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
