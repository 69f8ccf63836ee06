"""Control planes for tests of the engine: each with its own folder and database, several on one embedded AWS."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import boto3
from botocore.exceptions import ClientError

from local_aws.identity import CONTROL_PLANE_USER, control_plane_policy, create_identity
from local_aws.server import EmbeddedAws
from stacks import bootstrap as boundaries
from stacks import names, policies
from stacks.environment import EMBEDDED, isolated
from stacks.manifest import GroupManifest, parse
from stacks.site.host_policies import DEFAULT_PATTERNS
from tests.calls import recorded
from tests.clients import make_client

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT, REGION = "111122223333", "us-east-1"
PATIENCE_SECONDS = 120.0
PYTHON = sys.executable
QUICK = {
    "COHORT_LEASE_SECONDS": "3",
    "COHORT_SETTLE_SECONDS": "0.1",
    "COHORT_RETRY_SECONDS": "0.3",
    "COHORT_SWEEP_SECONDS": "1",
    "COHORT_DRIFT_CHECK": "false",
    "COHORT_IAM_CHECKS": "false",
}


class Cloud:
    """One embedded AWS, bootstrapped, with the platform deployed and the control planes' identity."""

    def __init__(self, aws: EmbeddedAws, folder: Path) -> None:
        self.aws, self.folder = aws, folder
        self.key_id, self.secret = create_identity(aws.endpoint, ACCOUNT, REGION, CONTROL_PLANE_USER, control_plane_policy(ACCOUNT))
        root = self.environment(aws.endpoint) | {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "root"}
        bootstrap = [PYTHON, "scripts/cdk_command.py", "--app", "", "bootstrap", f"aws://{ACCOUNT}/{REGION}"]
        bootstrap += ["--cloudformation-execution-policies", boundaries.execution_arns(ACCOUNT, REGION)]
        boundaries.deploy(boto3.Session(ACCOUNT, "root"), REGION, DEFAULT_PATTERNS, endpoint=aws.endpoint)
        subprocess.run(bootstrap, cwd=ROOT, env=root | {"VAR_DIR": str(folder)}, check=True, capture_output=True)

    def environment(self, endpoint: str) -> dict[str, str]:
        """What points a process at this AWS, or at a proxy in front of it."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("COHORT_", "DATABASE_URL"))}
        settings = {
            EMBEDDED: "1",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
        }
        return recorded(isolated(clean, settings))

    def root(self, service: str) -> Any:
        """A client that may do everything."""
        return self.client(service, ACCOUNT, "root")

    def client(self, service: str, key: str, secret: str) -> Any:
        """A client with this key."""
        return make_client(
            service,
            endpoint_url=self.aws.endpoint,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
        )

    @contextmanager
    def slowly(self, seconds: float, *types: str) -> Iterator[None]:
        """CloudFormation takes so long over each resource (of these types) meanwhile, and goes on at once afterwards."""
        self.aws.set_pace(seconds, *types)
        try:
            yield
        finally:
            self.aws.set_pace(0)


class Control:
    """One control plane. Its groups' slugs begin with `prefix`, so that it shares the AWS with others."""

    def __init__(self, cloud: Cloud, folder: Path, prefix: str, *, database: str = "", **settings: str) -> None:
        self.cloud, self.folder, self.prefix = cloud, folder, prefix
        folder.mkdir(parents=True, exist_ok=True)
        self.env = cloud.environment(cloud.aws.endpoint) | {
            "VAR_DIR": str(folder),
            "SECRET_KEY": "only-for-tests-" * 4,
            "COHORT_ACCOUNT": ACCOUNT,
            "COHORT_REGION": REGION,
            "SECURE_COOKIES": "false",
            "DJANGO_SETTINGS_MODULE": "control_plane.settings",
            "DATABASE_URL": database,
            "EMAIL_URL": f"file://{folder}/mail",
            **QUICK,
            **settings,
        }
        self._processes: list[Worker] = []
        self._services: _Services | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._processes:
            worker.kill()
        if self._services is not None:
            self._services.end()

    def migrate(self) -> None:
        """Make the database's tables."""
        self.manage("migrate", "--verbosity", "0")

    def manage(self, *arguments: str) -> str:
        """Run a command of `manage.py`, which has to succeed."""
        done = subprocess.run(
            [PYTHON, "manage.py", *arguments], cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def do(self, what: str, **arguments: Any) -> Any:
        """Call a service (`tests/engine/services.py`) in a process that stays. A refusal is returned as `{"refused": ...}`."""
        if self._services is None:
            self._services = _Services(self.env)
        return self._services.ask({"do": what, **arguments})

    def lose_disk(self) -> None:
        """Lose the data folder, as with a disk; the processes that had it open are gone too."""
        if self._services is not None:
            self._services.end()
            self._services = None
        shutil.rmtree(self.folder)
        self.folder.mkdir()

    def slug(self, name: str) -> str:
        """This control plane's own slug of that name."""
        return f"{self.prefix}-{name}"

    def worker(self, *, dies_at: str = "", tuned: Sequence[str] = (), **settings: str) -> "Worker":
        """Start a worker. With `dies_at` it kills itself at that stage, as a power cut would; `tuned` sets constants of it."""
        script = ["manage.py", "worker"]
        if dies_at:
            script = ["-m", "tests.engine.dying_worker", dies_at]
        elif tuned:
            script = ["-m", "tests.engine.tuned_worker", *tuned]
        log = self.folder / f"worker-{len(self._processes)}.log"
        worker = Worker([PYTHON, *script], self.env | settings, log)
        self._processes.append(worker)
        return worker

    def dump(self) -> dict[str, Any]:
        """All that the database says of stacks, deployments and members."""
        return self.do("dump")  # type: ignore[no-any-return]

    def settled(self, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """Wait until nothing is on its way and AWS holds what is wanted, as far as the database knows."""
        return self.until(lambda dump: not dump["open"] and not dump["out_of_step"], seconds)

    def idle(self, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """Wait until nothing is on its way, whatever came of it."""
        return self.until(lambda dump: not dump["open"], seconds)

    def until(self, holds: Callable[[dict[str, Any]], bool], seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """Wait until the dump is as wanted; fails with it and the workers' last words otherwise."""
        deadline = time.monotonic() + seconds
        while not holds(dump := self.dump()):
            if time.monotonic() > deadline:
                logs = "\n".join(worker.tail() for worker in self._processes)
                raise AssertionError(f"{json.dumps(dump, indent=1)[-6000:]}\n{logs}")
            time.sleep(0.1)
        return dump

    def assert_aws_holds_what_the_database_says(self) -> None:
        """Members, keys, secrets and policies of every group on AWS are exactly those of the database; nothing else is there."""
        dump = self.dump()
        wanted = {stack["name"]: stack for stack in dump["stacks"] if stack["name"].startswith(f"Group-{self.prefix}")}
        there = {
            stack["StackName"]: stack
            for page in self.cloud.root("cloudformation").get_paginator("describe_stacks").paginate()
            for stack in page["Stacks"]
            if stack["StackName"].startswith(f"Group-{self.prefix}-") and stack["StackStatus"] != "DELETE_COMPLETE"
        }
        assert there.keys() == wanted.keys()
        for name, stack in wanted.items():
            outputs = {output["OutputKey"]: output["OutputValue"] for output in there[name].get("Outputs", [])}
            assert int(outputs["Generation"]) == stack["generation"] == stack["deployed_generation"], name
            manifest = parse(stack["manifest"])
            assert isinstance(manifest, GroupManifest)
            members = {row["username"]: row["access"] for row in dump["members"] if row["group"] == manifest.slug}
            assert {member.username: member.access for member in manifest.members} == members
            _assert_group(self.cloud, manifest)


class Worker:
    """A worker's process, in a session of its own."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    def tail(self) -> str:
        """The end of what it said."""
        return self._log.read_text(errors="replace")[-3000:]

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Its exit status, once it has ended."""
        return self.process.wait(seconds)


class _Services:
    """The process behind `Control.do`: one JSON object a line each way."""

    def __init__(self, env: dict[str, str]) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [PYTHON, "-m", "tests.engine.services"], cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        assert line, "the services' process ended"
        answer = json.loads(line)
        assert "failed" not in answer, answer["failed"]
        return answer["answer"]

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)


def _assert_group(cloud: Cloud, manifest: GroupManifest) -> None:
    iam, slug, path = cloud.root("iam"), manifest.slug, names.iam_path(manifest.slug)
    holders = {names.user(slug, member.username): member for member in manifest.members if member.access == "keys"}
    assert {user["UserName"] for user in iam.list_users(PathPrefix=path)["Users"]} == holders.keys(), slug
    secrets = {
        secret["Name"]
        for page in cloud.root("secretsmanager").get_paginator("list_secrets").paginate()
        for secret in page["SecretList"]
        if secret["Name"].startswith(f"cohort/{slug}/")
    }
    assert secrets == {names.secret(slug, member.username) for member in holders.values()}
    if holders:
        assert {user["UserName"] for user in iam.get_group(GroupName=names.iam_group(slug))["Users"]} == holders.keys()
    for name, member in holders.items():
        (key,) = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
        stored = cloud.root("secretsmanager").get_secret_value(SecretId=names.secret(slug, member.username))
        held = json.loads(stored["SecretString"])
        assert (held["AccessKeyId"], key["Status"]) == (key["AccessKeyId"], "Active")
        assert works(cloud, held["AccessKeyId"], held["SecretAccessKey"])
    role = iam.get_role(RoleName=names.role(slug))["Role"]
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == names.boundary_arn(ACCOUNT, REGION)
    documents = {names.policy(slug, index): one for index, one in enumerate(policies.group_policies(manifest), start=1)}
    attached = {
        policy["PolicyName"]: policy["PolicyArn"]
        for policy in iam.list_attached_role_policies(RoleName=names.role(slug))["AttachedPolicies"]
    }
    assert attached.keys() == documents.keys()
    for name, arn in attached.items():
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        assert iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"] == documents[name]


def works(cloud: Cloud, key: str, secret: str) -> bool:
    """Whether AWS knows this key."""
    try:
        cloud.client("sts", key, secret).get_caller_identity()
    except ClientError:
        return False
    return True


def copy_database(migrated: Path, folder: Path) -> None:
    """Give a new control plane a migrated SQLite database."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(migrated, folder / "cohort.sqlite3")
