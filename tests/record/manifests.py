"""Ten manifests as documents, as the control plane writes them and as they lie in a store: what each group is to be on AWS."""

from typing import Any

ACCOUNT, REGION = "111122223333", "us-east-1"
# 2024-01-01, 02-01 and 03-01, at midnight.
MOMENTS = (1_704_067_200, 1_706_745_600, 1_709_251_200)
RETIRED = "retired-lab"


def username(number: int) -> str:
    """An opaque name: m, and eleven letters that count."""
    letters = ""
    for _ in range(11):
        number, letter = divmod(number, 26)
        letters = chr(ord("a") + letter) + letters
    return f"m{letters}"


def member(number: int, access: str = "federated", **more: Any) -> dict[str, Any]:
    """A member of a manifest."""
    return {
        "username": username(number),
        "access": access,
        "key_serial": 1,
        "previous_key": None,
        "part": 0,
        "suspended": False,
        **more,
    }


def grant(bucket: str, access: str = "read-write") -> dict[str, str]:
    """An analysis of a manifest."""
    return {"bucket": f"cohort-{bucket}", "access": access}


def _group(slug: str, members: list[dict[str, Any]], analyses: list[dict[str, str]], **more: Any) -> dict[str, Any]:
    common = {"version": 1, "kind": "group", "generation": 7, "account": ACCOUNT, "region": REGION, "tags": {}}
    ends: dict[str, Any] = {"revoked": [], "sessions_not_before": None, "suspended": False, "retired": False}
    return {**common, **ends, "slug": slug, "members": members, "analyses": analyses, **more}


def _storage(number: int, buckets: list[str], origins: list[str]) -> dict[str, Any]:
    common = {"version": 1, "kind": "platform", "generation": 3, "account": ACCOUNT, "region": REGION, "tags": {}}
    return {**common, "number": number, "buckets": [f"cohort-{bucket}" for bucket in buckets], "origins": origins}


GROUPS: dict[str, dict[str, Any]] = {
    group["slug"]: group
    for group in (
        _group("small-lab", [member(1, "keys"), member(2)], [grant("ephys")]),
        _group("empty-lab", [], []),
        # More key holders than a stack takes: the last ones lie in a nested stack.
        _group("large-lab", [member(number, "keys", part=number // 100) for number in range(105)], [grant("ephys")]),
        _group("suspended-lab", [member(1, "keys"), member(2)], [grant("ephys")], suspended=True),
        _group(RETIRED, [], [], retired=True),
        _group(
            "cut-off-lab",
            [
                member(1, "keys", sessions_not_before=MOMENTS[1]),
                member(2, sessions_not_before=MOMENTS[2]),
                member(3, suspended=True),
                member(4, "keys", key_serial=3, previous_key="active"),
                member(5, "keys", key_serial=2, previous_key="inactive"),
            ],
            [grant("ephys")],
            revoked=[username(9), username(10)],
            sessions_not_before=MOMENTS[0],
        ),
        _group(
            "reading-lab",
            [member(1), member(2, "keys")],
            [grant("ephys", "read-only"), grant("video"), grant("other", "read-only")],
        ),
        _group("many-lab", [member(1)], [grant(f"{number:02d}-analysis") for number in range(60)], tags={"cost-centre": "42"}),
    )
}
STORAGE: dict[int, dict[str, Any]] = {
    1: _storage(1, ["ephys", "video"], ["https://cohort.example.org"]),
    2: _storage(2, ["other"], ["https://cohort.example.org", "http://localhost:8000"]),
}
