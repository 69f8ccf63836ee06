"""`python -m tests.calls FOLDER`: fail where the tests recorded a call of AWS that `listed.toml` does not name."""

import sys
from pathlib import Path

from tests.calls.listed import LIST, line_to_add, read_list, read_recordings, unlisted

# Fewer would mean that nothing was recorded, which proves nothing.
FEWEST = 20


def main() -> None:
    """Compare, and end with a status that says how it went."""
    recorded = read_recordings(Path(sys.argv[1]))
    if len(recorded) < FEWEST:
        sys.exit(f"Only {len(recorded)} kinds of calls of AWS were recorded: the recorder does not work, or few tests ran.")
    if new := unlisted(recorded, read_list()):
        lines = "\n".join(f"  {line_to_add(call)}" for call in new)
        sys.exit(
            f"These calls of AWS are not in {LIST.relative_to(Path.cwd())}. See that the host's role of the process allows each "
            f"(stacks/site/host_policies.py), then add:\n{lines}"
        )
    print(f"{len(recorded)} kinds of calls of AWS were recorded, and each is listed.")


if __name__ == "__main__":
    main()
