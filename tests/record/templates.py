"""The templates that the project's own program synthesises: of ten manifests, of the site's own stacks, and of the bootstrap."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.record import product
from tests.record.documents import Record
from tests.record.manifests import GROUPS, RETIRED, STORAGE
from tests.record.normalise import normalise

# Which stacks the manifests describe, and the site's own.
SITE = "site.example.toml"
# Of a template as it is sent; what CDK writes for itself is not.
ENDING = ".template.json"


def templates() -> Record:
    """Synthesise all of it, in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder)
        _publish(there / "store")
        said = _synthesise(there)
        record = {f"templates/{_name(path)}.json": _text(path) for path in sorted((there / "out").glob(f"*{ENDING}"))}
        refused = _run(product.APP, there, {"group": RETIRED})
        assert refused.returncode != 0, "a retired group has a template"
        record["templates/said.txt"] = f"all: {normalise(said)}\n{RETIRED}: {refused.stderr}"
    made = subprocess.run(product.BOOTSTRAP, cwd=product.ROOT, capture_output=True, text=True, check=True, env=_environment())
    record["templates/Cohort-Bootstrap.json"] = _written(json.loads(made.stdout))
    wanted = {f"templates/Group-{slug}.json" for slug in GROUPS if slug != RETIRED}
    assert not (missing := wanted - record.keys()), f"no template was made for {missing}"
    return record


def _publish(store: Path) -> None:
    (store / "groups").mkdir(parents=True)
    (store / "storage").mkdir()
    for slug, manifest in GROUPS.items():
        (store / f"groups/{slug}.json").write_text(json.dumps(manifest))
    for number, manifest in STORAGE.items():
        (store / ("platform.json" if number == 1 else f"storage/{number}.json")).write_text(json.dumps(manifest))


def _synthesise(there: Path) -> str:
    done = _run(product.APP, there, {"site": SITE})
    assert done.returncode == 0, done.stderr
    return done.stderr


def _run(words: tuple[str, ...], there: Path, context: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    own = {
        "CDK_OUTDIR": str(there / "out"),
        "CDK_CONTEXT_JSON": json.dumps(context | {"aws:cdk:disable-version-reporting": True, "aws:cdk:bundling-stacks": ["**"]}),
        "COHORT_MANIFEST_STORE": str(there / "store"),
        "VAR_DIR": str(there / "var"),
    }
    return subprocess.run(words, cwd=product.ROOT, capture_output=True, text=True, env=_environment() | own)


def _environment() -> dict[str, str]:
    return {**os.environ, "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1"}


def _name(path: Path) -> str:
    """A nested template is called by the hash of its path in the tree: its parent's name, and which it is."""
    return path.name.removesuffix(ENDING)


def _text(path: Path) -> str:
    return _written(json.loads(path.read_text()))


def _written(template: Any) -> str:
    return normalise(json.dumps(template, indent=1, sort_keys=True) + "\n")
