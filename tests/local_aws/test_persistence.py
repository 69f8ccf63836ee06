"""The embedded AWS's state on a disk that is full for a while."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# In a process of its own: ministack reads its settings while it is imported.
TWICE = """
import sys
from pathlib import Path
from local_aws import _settings
_settings.apply(1, Path(sys.argv[1]))
from local_aws import _persistence
from ministack.core import persistence
_persistence.install()
state, file = {"users": ["ada"]}, Path(persistence.STATE_DIR) / "iam.json"
# As a disk without room: the folder cannot be written to.
file.parent.rmdir()
file.parent.write_text("")
persistence.save_state("iam", state)
file.parent.unlink()
persistence.save_state("iam", state)
first = file.stat().st_mtime_ns
persistence.save_state("iam", state)
print(file.exists(), file.stat().st_mtime_ns == first)
"""


def test_a_state_that_could_not_be_saved_is_saved_with_the_next_and_one_that_was_is_not_again(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", TWICE, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "True"], done.stderr
