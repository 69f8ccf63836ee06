"""Two groups on a site, with people of every role and one of everything that can be another group's; and what became of it."""

import html
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Self

from tests.e2e.site import Site
from tests.e2e.two_labs_rows import KEYS, ROLES, email
from tests.e2e.visitor import Visitor

CURIE, NOETHER = SLUGS = ("curie-lab", "noether-lab")
SHARED = "both-have"
SHARED_BUCKET = f"cohort-e2e-{SHARED}"
PASSWORD = "correct horse battery staple 9"
MIB = 2**20
Keys = dict[str, dict[str, str]]
# What would show that something happened to a group, but for what time or a look changes by itself.
ROWS = {
    "groups_group": "*",
    "groups_membership": "id, group_id, user_id, added_generation, removed_generation, access, key_serial, previous_key,"
    " suspended_at, ends_at, replaced_by_id, is_manager",
    "groups_grant": "*",
    "groups_joincode": "*",
    "groups_joinrequest": "*",
    "catalogue_accessrequest": "*",
    "catalogue_entry": "*",
    "jobs_job": "*",
    "uploads_upload": "*",
    "deployments_deployment": "id, state, generation, cancel_requested_at, approved_by",
    "deployments_stack": "id, generation, deployed_generation, account",
    "credentials_keyreveal": "*",
    "allauth_idp_oidc_token": "id, user_id, expires_at",
    "mfa_authenticator": "id, user_id, data",
    "usersessions_usersession": "id, user_id",
    "accounts_user": "id, email, name, password, is_active, is_staff, is_superuser",
    "account_emailaddress": "*",
}


@dataclass(frozen=True)
class Lab:
    """A group, and what its things are called. Numbers are those of the site's database."""

    slug: str
    name: str
    analysis: str
    bucket: str
    group: int
    stack: int
    stack_name: str
    deployment: int
    membership: int
    username: str
    person: int
    code: int
    request: int
    asked: int
    job: int
    job_link: str
    decision: str
    passkey: int
    preview: int
    notice: int
    unmanaged: int
    computer: int
    address_link: str
    tokens: dict[str, str]
    session: int = 0
    upload: int = 0
    upload_id: str = ""
    upload_key: str = ""
    version: str = ""
    marker: str = ""

    @property
    def secret(self) -> str:
        """The key of a file that nobody else may see, in each of the group's buckets."""
        return f"{self.slug}/inputs/secret.txt"

    @property
    def configuration(self) -> str:
        """The key of a configuration that nobody else may see, in each of the group's buckets."""
        return f"{self.slug}/configs/secret.yaml"

    @property
    def gone(self) -> str:
        """The key of a file that was deleted, and can be brought back."""
        return f"{self.slug}/inputs/gone.txt"


@dataclass
class Labs:
    """Both groups, and everybody's browser, signed in."""

    site: Site
    curie: Lab
    noether: Lab
    visitors: dict[str, Visitor]
    _keys: dict[str, Keys] = field(default_factory=dict)

    @classmethod
    def found(cls, site: Site) -> Self:
        """Make them on this site, and deploy them."""
        _run(site, f"make({list(SLUGS)!r}, {SHARED!r}, {PASSWORD!r})")
        site.wait_for_deployments()
        things = json.loads(_run(site, f"name_things({list(SLUGS)!r})").splitlines()[-1])
        visitors = {}
        for address in (email(role, slug) for slug in SLUGS for role in ROLES):
            visitors[address] = Visitor(site.url)
            visitors[address].sign_in(address, PASSWORD)
        made = cls(site, Lab(**things[CURIE]), Lab(**things[NOETHER]), visitors)
        made.curie, made.noether = (made._filled(lab) for lab in (made.curie, made.noether))
        return made

    def others(self) -> list[tuple[Lab, Lab]]:
        """Whose people try what, and on whose things."""
        return [(self.curie, self.noether), (self.noether, self.curie)]

    def keys(self, role: str, lab: Lab) -> Keys:
        """Everything that signs requests to AWS and that this person gets from the site, by what it is for. Asked for once."""
        who = email(role, lab.slug)
        if who not in self._keys:
            self._keys[who] = dict(self._ask_for_keys(role, lab))
        return self._keys[who]

    def snapshot(self) -> dict[str, Any]:
        """All that a trespass could have changed, on the site and in S3."""
        s3 = self.site.root("s3")
        found: dict[str, Any] = {}
        for table, columns in ROWS.items():
            found[table] = self.query(f"SELECT {columns} FROM {table} ORDER BY id")  # noqa: S608
        for bucket in (SHARED_BUCKET, self.curie.bucket, self.noether.bucket):
            versions = s3.list_object_versions(Bucket=bucket)
            kinds = ("Versions", "DeleteMarkers")
            found[bucket] = {kind: sorted((item["Key"], item["VersionId"]) for item in versions.get(kind, [])) for kind in kinds}
            begun = s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
            found[bucket]["Uploads"] = sorted((item["Key"], item["UploadId"]) for item in begun)
            for setting in ("cors", "versioning", "lifecycle_configuration"):
                answer = getattr(s3, f"get_bucket_{setting}")(Bucket=bucket)
                found[bucket][setting] = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
        for lab in (self.curie, self.noether):
            parts = s3.list_parts(Bucket=SHARED_BUCKET, Key=lab.upload_key, UploadId=lab.upload_id)["Parts"]
            found[lab.upload_key] = [(part["PartNumber"], part["ETag"]) for part in parts]
        return found

    def query(self, sql: str, *values: Any) -> list[Any]:
        """Rows of the site's database, only for looking."""
        database = sqlite3.connect(f"file:{self.site.var / 'cohort.sqlite3'}?mode=ro", uri=True, timeout=20)
        try:
            return database.execute(sql, values).fetchall()
        finally:
            database.close()

    def last_event(self) -> int:
        """The number of the newest row of the audit trail."""
        return int(self.query("SELECT MAX(id) FROM audit_auditevent")[0][0])

    def refusals(self) -> Counter[tuple[str, str]]:
        """How often who was refused what so far, by the audit trail: what is repeated within an hour raises its row's count."""
        counts: Counter[tuple[str, str]] = Counter()
        for actor, target, count in self.query("SELECT actor, target, count FROM audit_auditevent WHERE action = 'access.refused'"):
            counts[actor, target] += count
        return counts

    def deeds(self, after: int) -> list[tuple[str, str, str]]:
        """What people did on the web since then, by the audit trail."""
        return self.query(
            "SELECT actor, action, target FROM audit_auditevent WHERE channel = 'web' AND action != 'access.refused' AND id > ?",
            after,
        )

    def _ask_for_keys(self, role: str, lab: Lab) -> Iterator[tuple[str, dict[str, str]]]:
        who = email(role, lab.slug)
        ask = self.visitors[who].ask
        yield "own computer", ask("POST", f"/api/credentials/{lab.slug}", bearer=lab.tokens[who]).document
        for purpose, address in (("upload", "uploads"), ("browse", "files")):
            given = ask("POST", f"/api/{address}/{lab.slug}/{SHARED}/session").document
            key = {"AccessKeyId": given["access_key_id"], "SecretAccessKey": given["secret_access_key"]}
            yield purpose, key | {"SessionToken": given["session_token"]}
        if role == KEYS:
            # Shown once, to who has given their password a moment ago.
            assert ask("POST", "/accounts/reauthenticate/", form={"password": PASSWORD}).status == 302
            page = html.unescape(ask("POST", f"/groups/{lab.slug}/credentials/key/").text)
            found = dict(re.findall(r"(aws_access_key_id|aws_secret_access_key)\s*=\s*(\S+)", page))
            yield "own key", {"AccessKeyId": found["aws_access_key_id"], "SecretAccessKey": found["aws_secret_access_key"]}

    def _filled(self, lab: Lab) -> Lab:
        """The group with files, one deleted file and one upload on its way, and the number of a session of a member's."""
        s3 = self.site.root("s3")
        version = marker = ""
        for bucket in (lab.bucket, SHARED_BUCKET):
            version = s3.put_object(Bucket=bucket, Key=lab.secret, Body=f"of {lab.slug} alone".encode())["VersionId"]
            s3.put_object(Bucket=bucket, Key=lab.configuration, Body=f"of: {lab.slug}".encode())
            s3.put_object(Bucket=bucket, Key=lab.gone, Body=b"once there")
            marker = s3.delete_object(Bucket=bucket, Key=lab.gone)["VersionId"]
        file = {"path": "half.bin", "size": 40 * MIB, "modified": 1_700_000_000_000}
        starting = {"folder": "inputs", "files": [file]}
        [begun] = (
            self.visitors[email("federated", lab.slug)]
            .ask("POST", f"/api/uploads/{lab.slug}/{SHARED}/start", body=starting)
            .document
        )
        assert begun["status"] == "send", begun
        s3.upload_part(Bucket=SHARED_BUCKET, Key=begun["key"], UploadId=begun["upload_id"], PartNumber=1, Body=b"x" * 5 * MIB)
        [(session,)] = self.query("SELECT id FROM usersessions_usersession WHERE user_id = ?", lab.person)
        return replace(
            lab,
            session=session,
            upload=begun["id"],
            upload_id=begun["upload_id"],
            upload_key=begun["key"],
            version=version,
            marker=marker,
        )


def _run(site: Site, call: str) -> str:
    done = site.manage("shell", "-v", "0", "-c", f"from tests.e2e import two_labs_rows; two_labs_rows.{call}")
    assert done.status == 0, done.err
    return done.out
