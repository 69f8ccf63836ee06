"""`python -m local_aws.backend --bucket NAME`: runs the example analysis on jobs submitted to the bucket, until SIGTERM.

On AWS a function that the bucket calls would do this. It knows nothing but S3: its key, from the environment, opens that one
bucket. Stopped half-way it leaves no `end.txt`, so that the next start runs the job anew.
"""

import argparse
import os
import signal
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from assets.example_analysis.backend import Run, Submission, pending_submissions
from local_aws.identity import create_identity
from stacks.environment import isolated_basics

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BACKEND_USER = "cohort-example-backend"
POLL_SECONDS = 1.0
# After S3 did not answer.
REST_SECONDS = 5.0


class _Stopped(Exception):
    """The process was asked to stop."""


def backend_policy(bucket: str) -> dict[str, Any]:
    """Return the back end's rights on AWS: read what groups give it, and write results. It removes nothing."""
    arn = f"arn:aws:s3:::{bucket}"
    read = [f"{arn}/*/{folder}/*" for folder in ("inputs", "configs", "submissions", "results")]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn},
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": read},
            {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"{arn}/*/results/*"},
        ],
    }


def start_command(endpoint: str, account: str, region: str, bucket: str) -> tuple[list[str], dict[str, str]]:
    """Return the command, and an environment with a key of its own to that one bucket and no setting of ours."""
    key_id, secret = create_identity(endpoint, account, region, BACKEND_USER, backend_policy(bucket))
    settings = {"AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": region}
    settings |= {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret}
    return [sys.executable, "-m", "local_aws.backend", "--bucket", bucket], isolated_basics(os.environ, settings)


def serve(s3: "S3Client", bucket: str, stop: threading.Event, look_seconds: float = POLL_SECONDS) -> None:
    """Run submitted jobs, one after another, until `stop` is set."""
    done: set[str] = set()
    while not stop.is_set():
        rest = look_seconds
        try:
            for submission in pending_submissions(s3, bucket, done):
                if _run_if_it_can_be(s3, submission, stop):
                    done.add(submission.key)
                else:
                    rest = REST_SECONDS
        except _Stopped:
            return
        except (BotoCoreError, ClientError) as error:
            rest = REST_SECONDS
            print(f"S3 does not answer as it should: {error}. Trying again in {rest:g} s.", file=sys.stderr, flush=True)
        stop.wait(rest)


def _run_if_it_can_be(s3: "S3Client", submission: Submission, stop: threading.Event) -> bool:
    """Run the job, and return whether it is done with. A failure of one keeps no other waiting."""
    try:
        _run(s3, submission, stop)
    except _Stopped:
        raise
    except (BotoCoreError, ClientError) as error:
        print(f"{submission.prefix}: {error}. Trying again.", file=sys.stderr, flush=True)
        return False
    except Exception:
        # A mistake of ours. Again and again would not mend it.
        traceback.print_exc()
        print(f"{submission.prefix} is not run again before the next start.", file=sys.stderr, flush=True)
    return True


def _run(s3: "S3Client", submission: Submission, stop: threading.Event) -> None:
    def pause(seconds: float) -> None:
        if stop.wait(seconds):
            raise _Stopped

    began = time.monotonic()
    print(f"{submission.prefix}: {len(submission.inputs)} data sets", flush=True)
    Run(s3, submission, pause).to_the_end()
    print(f"{submission.prefix}: ended after {time.monotonic() - began:.1f} s", flush=True)


def main() -> None:
    """Read the arguments, and serve."""
    parser = argparse.ArgumentParser(prog="python -m local_aws.backend", description="The example analysis's back end.")
    parser.add_argument("--bucket", required=True, help="Where jobs are submitted.")
    bucket = parser.parse_args().bucket
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    s3 = boto3.client("s3", config=Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 3}))
    print(f"Looking for submissions in s3://{bucket}/", flush=True)
    serve(s3, bucket, stop)


if __name__ == "__main__":
    main()
