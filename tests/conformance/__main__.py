"""`python -m tests.conformance [embedded|localstack|account]`: run every step, write the report, remove all that was made."""

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from botocore.exceptions import BotoCoreError, ClientError

from stacks.environment import isolate_this_process
from tests.conformance import account, localstack, targets
from tests.conformance.report import DOCS, ROOT, TARGETS, Run, as_text, write
from tests.conformance.running import conduct
from tests.conformance.step import lacking

# The whole state of a run: a crash of the account's leaves its journal there.
VAR = ROOT / "var/conformance"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one target; return 1 if a step failed or something is left, 2 if nothing was begun."""
    options = _arguments(argv)
    is_slow = os.environ.get("COHORT_SLOW") == "1"
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if options.target == "account":
            return _report(account.run(VAR / "account", with_host=options.with_host, domain=options.domain), options.docs)
        isolate_this_process()
        with _folder(options.target) as folder:
            if options.target == "localstack":
                with localstack.running(folder / "aws") as endpoint:
                    target = targets.localstack(endpoint, localstack.ACCOUNT, is_slow=is_slow)
                    return _report(conduct(target, folder, with_host=options.with_host), options.docs)
            with targets.embedded(folder, options.seed, is_slow=is_slow) as target:
                return _report(conduct(target, folder, with_host=options.with_host), options.docs)
    except (account.NotBegun, localstack.DidNotStart) as error:
        print(error, file=sys.stderr)
        return 2
    except (BotoCoreError, ClientError) as error:
        print(f"AWS could not be asked: {error}. Nothing was begun; check AWS_PROFILE and AWS_REGION.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. What was made is removed; the report is as it was.", file=sys.stderr)
        return 130


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description="Cohort's main path on any AWS.")
    parser.add_argument("target", nargs="?", default="embedded", choices=list(TARGETS))
    parser.add_argument(
        "--seed", type=int, help="What each request sees of IAM's changes, on the embedded AWS; else a new one, printed."
    )
    parser.add_argument("--with-host", action="store_true", help="Deploy the host and the backups, too.")
    parser.add_argument("--domain", default="cohort.example.org", help="The host's domain.")
    parser.add_argument("--docs", type=Path, default=DOCS, help="Where the report is written.")
    return parser.parse_args(argv)


def _report(run: Run, docs: Path) -> int:
    write(run, lacking(), docs)
    print(f"{as_text(run)} Written to {docs / 'conformance.md'}.")
    return int(run.has_failed)


@contextmanager
def _folder(target: str) -> Iterator[Path]:
    """An empty folder for a run that ends with its AWS. After one that failed its logs stay."""
    folder = VAR / target
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
