"""Our code and the embedded AWS against what AWS really answered: the tables are in `recorded` and `unproven`."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from control_plane.deployments import failures
from control_plane.deployments.models import Failure
from local_aws.server import EmbeddedAws, free_port
from tests.local_aws import matches, recorded, unproven
from tests.local_aws.asked import Asked, answer
from tests.local_aws.recorded import Row

SETTING = pytest.mark.parametrize("row", recorded.ROWS, ids=lambda row: row.label)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        yield Asked(running)


def test_every_match_of_our_code_is_recorded_or_listed_as_unproven() -> None:
    proven = {match for row in recorded.ROWS for match in row.matches}
    found = matches.all_matches()
    known = proven | unproven.listed(unproven.UNPROVEN) | unproven.listed(unproven.OURS)
    new = [f'    "{match.file}": ("{match.word}",),' for match in sorted(found - known)]
    assert not new, (
        "Our code matches on what no table has. Find a recording of AWS's answer for tests/local_aws/recorded.py, or add to "
        "UNPROVEN in tests/local_aws/unproven.py:\n" + "\n".join(new)
    )
    gone = sorted(known - found)
    assert not gone, f"Nothing matches on these any more; take them out of the tables: {gone}"
    both = sorted(proven & unproven.listed(unproven.UNPROVEN))
    assert not both, f"These are recorded, and so not unproven: {both}"


@SETTING
def test_what_our_code_matches_on_is_in_the_recorded_answer(row: Row) -> None:
    answer_of_aws = recorded.answer_of(row)
    for match in row.matches:
        if "Error" not in answer_of_aws:
            values = {value for path in row.reads for value in recorded.shape(answer_of_aws, path.rstrip("=") + "=")}
            assert any(value == match.word or (match.word.startswith("_") and value.endswith(match.word)) for value in values), (
                match
            )
            continue
        error, meta = answer_of_aws["Error"], answer_of_aws.get("ResponseMetadata", {})
        assert (
            match.word.removesuffix("Exception") in (error["Code"], error["Code"].removesuffix("Exception"))
            or match.word == str(meta.get("HTTPStatusCode"))
            or re.search(match.word, error["Message"], re.IGNORECASE if match.file.endswith("failures.py") else 0)
        ), match


@SETTING
def test_the_embedded_aws_answers_as_aws_does(row: Row, asked: Asked) -> None:
    if row.ask is None:
        assert row.not_asked
        return
    theirs, ours = recorded.answer_of(row), answer(row.ask, asked)
    if row.reads:
        assert not isinstance(ours, ClientError), f"the embedded AWS refuses: {ours}"
        for path in row.reads:
            expected, found = recorded.shape(theirs, path), recorded.shape(ours, path)
            assert expected, f"{path} was not recorded"
            assert found == expected, f"{path}: {found} instead of {expected}"
        return
    assert isinstance(ours, ClientError), f"the embedded AWS does not refuse: {ours}"
    told = recorded.told(ours)
    assert told["Code"] == theirs["Error"]["Code"]
    # Systems Manager gives no message, and nobody is shown one.
    if message := theirs["Error"]["Message"]:
        assert recorded.pattern(message).fullmatch(told["Message"] or ""), told["Message"]
    # An answer that was recorded as XML, beside botocore, has no status.
    if status := theirs.get("ResponseMetadata", {}).get("HTTPStatusCode"):
        assert told["HTTPStatusCode"] == status


# Of all the messages that were recorded, those after which the same request may succeed.
PASSING = {
    "We encountered an internal error. Please try again.",
    "Stack:<stack-id> is in DELETE_IN_PROGRESS state and can not be updated.",
}


def test_no_recorded_refusal_that_lasts_is_tried_again() -> None:
    passing = {message for message in recorded.messages() if failures.classify_text(message) == Failure.RETRYABLE}
    assert passing == PASSING


@pytest.mark.parametrize("message", sorted(PASSING))
def test_a_recorded_refusal_that_passes_is_tried_again(message: str) -> None:
    assert failures.classify_text(message) == Failure.RETRYABLE


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("already scheduled for deletion", "waits for its deletion"),
        ("is not empty. You must delete all versions", "empty it on AWS, all versions"),
        ("must remove referenced objects first", "Something outside Cohort still uses it"),
        ("because the secret <SecretId-0idx> already exists", "has this name"),
        ("This policy contains invalid Json", "defect of the stacks"),
    ],
)
def test_a_recorded_refusal_is_explained(words: str, advice: str) -> None:
    (message,) = {message for message in recorded.messages() if words in message}
    assert advice in failures.advice_for(message)


@pytest.mark.parametrize(
    "words", ["The user with name non-existent-user cannot be found.", "Secrets Manager can't find the specified secret."]
)
def test_what_aws_says_of_a_thing_that_is_gone_has_the_next_try_put_it_back(words: str) -> None:
    assert words in recorded.messages()
    failed = failures.FailedResource("Thing", "AWS::IAM::User", words)
    assert failures.problem_from_resource(failed, "UPDATE_ROLLBACK_COMPLETE").revert_drift


def test_a_match_that_is_in_no_table_is_found(tmp_path: Path) -> None:
    source = tmp_path / "new.py"
    source.write_text(
        """from botocore.exceptions import ClientError
GONE = frozenset({"NewCode"})
def look(error: ClientError, event: dict[str, str]) -> bool:
    if error.response["Error"]["Code"] == "OtherCode" or code_of(error) in GONE or status_of(error) == 418:
        return "new words" in str(error)
    return event["ResourceStatus"] == "NEW_FAILED"
"""
    )
    assert matches.words_of(source) == {"NewCode", "OtherCode", "418", "new words", "NEW_FAILED"}
    script = tmp_path / "new.js"
    script.write_text('// S3\nif (error.code === "NewCode" || error.status === 418) again();\n')
    assert matches.words_of(script) == {"NewCode", "418"}
