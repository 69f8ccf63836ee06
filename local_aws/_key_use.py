"""Last use of each access key: GetAccessKeyLastUsed, which ministack answers with "never"."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from ministack.core import iam_evaluator
from ministack.services import iam

Answer = tuple[int, dict[str, str], bytes]
# As AWS writes times.
FORM = "%Y-%m-%dT%H:%M:%SZ"
# Of ministack's record of a key; it is saved with the rest of IAM's state.
RECORD = "LastUsed"


def install() -> None:
    """Record each use where requests are authenticated, and answer with it."""
    enforce: Callable[..., Any] = iam_evaluator.enforce

    def enforce_and_record(access_key_id: str, iam_action: str, service: str, region: str, *rest: Any, **more: Any) -> Any:
        outcome = enforce(access_key_id, iam_action, service, region, *rest, **more)
        # A request that a policy denies was made with the key all the same; one with a wrong signature was not.
        if not isinstance(outcome, iam_evaluator.AuthError):
            _record(access_key_id, iam_action.partition(":")[0], region)
        return outcome

    iam_evaluator.enforce = enforce_and_record
    iam._IAM_HANDLERS["GetAccessKeyLastUsed"] = last_used


def last_used(parameters: dict[str, Any]) -> Answer:
    """Answer GetAccessKeyLastUsed. A key that was never used has no date, and N/A for the rest."""
    key_id = iam._p(parameters, "AccessKeyId")
    if key_id not in iam._access_keys:
        return iam._error(404, "NoSuchEntity", f"The Access Key with id {key_id} cannot be found.")  # type: ignore[no-any-return]
    key = iam._access_keys[key_id]
    use = key.get(RECORD)
    date = f"<LastUsedDate>{use['Date']}</LastUsedDate>" if use else ""
    region, service = (use["Region"], use["ServiceName"]) if use else ("N/A", "N/A")
    return iam._xml(  # type: ignore[no-any-return]
        200,
        "GetAccessKeyLastUsedResponse",
        f"<GetAccessKeyLastUsedResult><UserName>{escape(key['UserName'])}</UserName><AccessKeyLastUsed>"
        f"{date}<Region>{escape(region)}</Region><ServiceName>{escape(service)}</ServiceName>"
        "</AccessKeyLastUsed></GetAccessKeyLastUsedResult>",
        ns="iam",
    )


def _record(key_id: str, service: str, region: str) -> None:
    if key_id in iam._access_keys:
        iam._access_keys[key_id][RECORD] = {
            "Date": datetime.now(UTC).strftime(FORM),
            "Region": region,
            "ServiceName": service,
        }
