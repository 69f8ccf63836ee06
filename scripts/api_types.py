"""Write web/types/api.d.ts, the types of the pages' API, from its OpenAPI document; `--check` only says whether it is current."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TYPES = ROOT / "web/types/api.d.ts"
GENERATOR = ROOT / "node_modules/.bin/openapi-typescript"
# Prose of the document, which changes with the code's and means nothing to a type.
PROSE = frozenset({"description", "summary", "title"})
sys.path.insert(0, str(ROOT))


def main() -> None:
    """Write the types, or end with 1 where they are not current."""
    types = generate()
    if "--check" not in sys.argv[1:]:
        TYPES.write_text(types)
    elif not TYPES.exists() or TYPES.read_text() != types:
        sys.exit("web/types/api.d.ts is not what the API's OpenAPI document says. Run `make schema`.")


def generate() -> str:
    """Return the text of the declarations."""
    import django  # noqa: PLC0415 (settings come from the environment of whoever runs this)

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "control_plane.settings")
    django.setup()
    from control_plane.api import api  # noqa: PLC0415 (needs the apps)

    document = without_prose(json.loads(json.dumps(api.get_openapi_schema())))
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "openapi.json"), Path(folder, "api.d.ts")
        source.write_text(json.dumps(document))
        # What has a default may be left out of a request.
        words: list[str | Path] = [GENERATOR, source, "--output", target, "--default-non-nullable", "false"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        return target.read_text()


def without_prose(document: Any) -> Any:
    """Return the document without its sentences; names that an object happens to have for a field stay."""
    if isinstance(document, list):
        return [without_prose(value) for value in document]
    if not isinstance(document, dict):
        return document
    return {name: without_prose(value) for name, value in document.items() if name not in PROSE or not isinstance(value, str)}


if __name__ == "__main__":
    main()
