"""Every address of the site and of its API, and how somebody would ask there for what is another group's.

An address that is in none of these tables fails `test_every_address`: whoever adds a page says here whose things it shows.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver, reverse

from tests.e2e.two_labs import SHARED, Lab

Arguments = Callable[[Lab, Lab], tuple[Any, ...]]
Body = Callable[[Lab, Lab], Any]


@dataclass(frozen=True)
class Try:
    """One way to ask for another group's thing. Its functions are given the asker's own group and the other one.

    `by_right`: administrators may, so that only the others are refused. `bearer`: asked by a computer of the asker's.
    """

    name: str
    methods: tuple[str, ...]
    arguments: Arguments = lambda mine, theirs: ()
    form: dict[str, str] = field(default_factory=dict)
    body: Body | None = None
    by_right: bool = False
    bearer: bool = False
    path: Callable[[Lab, Lab], str] | None = None

    def address(self, mine: Lab, theirs: Lab) -> str:
        """Where to ask."""
        return self.path(mine, theirs) if self.path else reverse(self.name, args=self.arguments(mine, theirs))


GET, POST, BOTH = ("GET",), ("POST",), ("GET", "POST")


def _slug(mine: Lab, theirs: Lab) -> tuple[Any, ...]:
    return (theirs.slug,)


def _of(attribute: str) -> Arguments:
    return lambda mine, theirs: (getattr(theirs, attribute),)


def _in_theirs(attribute: str) -> Arguments:
    return lambda mine, theirs: (theirs.slug, getattr(theirs, attribute))


def _through_mine(attribute: str) -> Arguments:
    """Another group's thing by its number or name, beneath the address of one's own group."""
    return lambda mine, theirs: (mine.slug, getattr(theirs, attribute))


def _shared(mine: Lab, theirs: Lab) -> tuple[Any, ...]:
    return (theirs.slug, SHARED)


def _mine(mine: Lab, theirs: Lab) -> tuple[Any, ...]:
    return (mine.slug, SHARED)


def _places(name: str, methods: tuple[str, ...], *, thing: Any = None, **more: Any) -> Iterator[Try]:
    """The other group's folders in both its analyses, and one's own in the analysis that only the other group has.

    `thing` is what the address names in that folder, or says what that is.
    """
    for place in (_in_theirs("analysis"), _shared, _through_mine("analysis")):
        yield Try(name, methods, place if thing is None else _within(place, thing), **more)


def _within(place: Arguments, thing: Any) -> Arguments:
    return lambda mine, theirs: (*place(mine, theirs), thing(mine, theirs) if callable(thing) else thing)


def _jobs(name: str, methods: tuple[str, ...], **more: Any) -> Iterator[Try]:
    """The other group's job in its folders, and by its number in one's own."""
    yield from _places(name, methods, thing=_timestamp, **more)
    yield Try(name, methods, _within(_mine, _timestamp), **more)


def _timestamp(mine: Lab, theirs: Lab) -> int:
    return theirs.job


def _start(mine: Lab, theirs: Lab) -> Any:
    return {"folder": "inputs", "files": [{"path": "trespass.txt", "size": 5, "modified": 1}]}


def _finish(mine: Lab, theirs: Lab) -> Any:
    return {"files": [{"id": theirs.upload, "checksum": "AAAAAA==", "etag": ""}]}


def _remove(mine: Lab, theirs: Lab) -> Any:
    return {"ids": [theirs.upload]}


def _keys(*names: str) -> Body:
    return lambda mine, theirs: {"keys": [name.format(mine=mine.slug, theirs=theirs.slug) for name in names]}


def _marker(mine: Lab, theirs: Lab) -> Any:
    return {"items": [{"key": theirs.gone, "version": theirs.marker}]}


def _climbing(mine: Lab, theirs: Lab) -> Any:
    return {"items": [{"key": f"{mine.slug}/inputs/../../{theirs.gone}", "version": theirs.marker}]}


ALLOW, MANAGE = {"allows": "1"}, {"is_manager": "1"}
ZIP = {"path": "inputs/", "keys": '["secret.txt"]'}

TRIES: tuple[Try, ...] = (
    # Groups' pages: administrators see and manage every group by right.
    Try("group", GET, _slug, by_right=True),
    Try("group_leave", BOTH, _slug),
    Try("group_allow_keys", POST, _slug, ALLOW, by_right=True),
    Try("group_keys", GET, _slug, by_right=True),
    Try("group_rotate_keys", POST, _slug, {"overlap": "7"}, by_right=True),
    Try("group_remove_old_keys", POST, _slug, by_right=True),
    Try("member_rotate_key", POST, _in_theirs("membership"), {"overlap": "7"}, by_right=True),
    Try("member_rotate_key", POST, _through_mine("membership"), {"overlap": "7"}),
    Try("member_old_key", POST, _in_theirs("membership"), {"wish": "remove"}, by_right=True),
    Try("member_old_key", POST, _through_mine("membership"), {"wish": "remove"}),
    Try("member", GET, _in_theirs("membership"), by_right=True),
    Try("member", GET, _through_mine("membership")),
    Try("member_end", POST, _in_theirs("membership"), by_right=True),
    Try("member_end", POST, _through_mine("membership")),
    Try("member_access", POST, _in_theirs("membership"), by_right=True),
    Try("member_access", POST, _through_mine("membership")),
    Try("member_move", POST, _in_theirs("membership"), by_right=True),
    Try("member_move", POST, _through_mine("membership")),
    Try("group_suspend", POST, _slug, {"wish": "suspend"}, by_right=True),
    Try("member_suspend", POST, _in_theirs("membership"), {"wish": "suspend"}, by_right=True),
    Try("member_suspend", POST, _through_mine("membership"), {"wish": "suspend"}),
    Try("member_remove", BOTH, _in_theirs("membership"), by_right=True),
    Try("member_remove", BOTH, _through_mine("membership")),
    Try("member_manager", POST, _in_theirs("membership"), MANAGE, by_right=True),
    Try("member_manager", POST, _through_mine("membership"), MANAGE),
    Try("code_make", POST, _slug, {"days": "30"}, by_right=True),
    Try("code_rotate", POST, _in_theirs("code"), by_right=True),
    Try("code_rotate", POST, _through_mine("code")),
    Try("code_withdraw", POST, _in_theirs("code"), by_right=True),
    Try("code_withdraw", POST, _through_mine("code")),
    # Requests to join.
    Try("request_approve", POST, _of("request"), {"access": "federated"}, by_right=True),
    Try("request_decline", POST, _of("request"), {"note": "no"}, by_right=True),
    Try("request_withdraw", POST, _of("request")),
    Try("request_link", GET, path=lambda mine, theirs: theirs.decision, by_right=True),
    # Credentials and keys are their owner's alone; replacing a lost key is the managers' and administrators' as well.
    Try("credentials:page", GET, _slug),
    Try("credentials:session", POST, _slug),
    Try("credentials:reveal", POST, _slug),
    Try("credentials:rotate", POST, _slug),
    Try("credentials:old_key", POST, _slug, {"wish": "remove"}),
    Try("credentials:brought", POST, _slug),
    Try("credentials:rotate_for", POST, _in_theirs("username"), by_right=True),
    Try("credentials:rotate_for", POST, _through_mine("username")),
    Try("credentials:sign_out", POST, _in_theirs("computer")),
    Try("credentials:sign_out", POST, _through_mine("computer")),
    Try("api-1:credentials", POST, _slug, bearer=True),
    # Files.
    *_places("files:page", GET),
    *_places("files:one", GET),
    Try("files:one", GET, _mine),
    *_places("files:zip", POST, form=ZIP),
    Try("files:zip", POST, _mine, {"path": "inputs/", "keys": '["../../other/inputs/secret.txt"]'}),
    *_places("api-1:files-session", POST),
    *_places("api-1:files-delete", POST, body=_keys("{theirs}/inputs/secret.txt")),
    Try("api-1:files-delete", POST, _mine, body=_keys("{theirs}/inputs/secret.txt")),
    Try("api-1:files-delete", POST, _mine, body=_keys("{mine}/inputs/a", "{mine}/inputs/../../{theirs}/inputs/secret.txt")),
    Try("api-1:files-delete", POST, _mine, body=_keys("{theirs}/")),
    Try("api-1:files-delete", POST, _mine, body=_keys("/{theirs}/inputs/secret.txt")),
    *_places("api-1:files-restore", POST, body=_marker),
    Try("api-1:files-restore", POST, _mine, body=_marker),
    Try("api-1:files-restore", POST, _mine, body=_climbing),
    # Uploads.
    *_places("uploads:unfinished", GET),
    *_places("api-1:open_session", POST),
    *_places("api-1:start", POST, body=_start),
    *_places("api-1:finish", POST, body=_finish),
    *_places("api-1:remove", POST, body=_remove),
    # What AWS is doing, and how the site is.
    Try("deployments:list", GET, by_right=True),
    Try("deployments:retry_failed", BOTH, by_right=True),
    Try("deployments:detail", GET, _of("deployment"), by_right=True),
    Try("deployments:live", GET, _of("deployment"), by_right=True),
    *(Try(f"deployments:{verb}", POST, _of("deployment"), by_right=True) for verb in ("retry", "cancel", "approve", "reject")),
    Try("deployments:stacks", GET, by_right=True),
    Try("deployments:stack", GET, _of("stack_name"), by_right=True),
    Try("deployments:stack_live", GET, _of("stack"), by_right=True),
    Try("deployments:stack_check", POST, _of("stack"), by_right=True),
    Try("deployments:stack_repair", POST, _of("stack"), by_right=True),
    Try("deployments:stack_deploy_ours", POST, _of("stack"), by_right=True),
    Try("deployments:preview", GET, _of("preview")),
    Try("health:page", GET, by_right=True),
    Try("health:live", GET, by_right=True),
    Try("health:send_again", POST, _of("notice"), by_right=True),
    Try("health:metrics", GET, by_right=True),
    Try("quotas:page", GET, by_right=True),
    # The catalogue. What analyses there are is everybody's to know; who asked for which is not.
    Try("catalogue:analysis", GET, lambda mine, theirs: ("no-such-analysis",)),
    # For a group that one is not in; for the other group by its name is tried in test_catalogue_pages.
    Try("catalogue:ask", POST, _of("analysis"), {"group": "nobodys-lab"}),
    Try("catalogue:withdraw", POST, _of("asked"), by_right=True),
    Try("catalogue:decide", POST, _of("asked"), {"decision": "approve", "level": "read-write"}, by_right=True),
    Try("catalogue:requests", GET, by_right=True),
    Try("catalogue:grant", BOTH, by_right=True),
    Try("catalogue:granted", GET, by_right=True),
    Try("catalogue:edit", BOTH, _of("analysis"), {"summary": "ours"}, by_right=True),
    Try("catalogue:bucket", BOTH, _of("analysis"), {"deed": "rename", "bucket": "cohort-e2e-mallory"}, by_right=True),
    # Configurations.
    *_places("configurations:index", GET),
    *_places("configurations:new", BOTH, form={"name": "trespass", "text": "a: 1", "mode": "text"}),
    *_places("configurations:edit", BOTH, thing="secret", form={"text": "a: 1", "mode": "text"}),
    *_places("configurations:restore", POST, thing="secret", form={"version": "null"}),
    *_places("configurations:delete", POST, thing="secret"),
    # Jobs.
    *_places("jobs:index", GET),
    *_places("jobs:new", BOTH, form={"config": "secret", "review": "1"}),
    *_places("jobs:submit", POST, form={"config": "secret", "basket": '["nobodys-lab/inputs/secret.txt"]'}),
    *_jobs("jobs:job", GET),
    *_jobs("jobs:log", GET, form={"set": "0"}),
    *_jobs("jobs:again", POST),
    *_jobs("jobs:share", POST),
    Try("jobs:shared", GET, _of("job_link")),
    # Who can reach what.
    *(Try(f"review:{page}", GET, by_right=True) for page in ("page", "csv", "signed")),
    Try("review:look", POST, by_right=True),
    Try("review:remove", BOTH, _of("person"), by_right=True),
    Try("review:unmanaged", GET, _of("unmanaged"), by_right=True),
    *(Try(f"review:{name}", POST, _of("unmanaged"), by_right=True) for name in ("take_over", "remove_unmanaged")),
    Try("group_review", GET, _slug, by_right=True),
    Try("group_review_csv", GET, _slug, by_right=True),
    Try("group_review_look", POST, _slug, by_right=True),
    Try("group_review_sign", BOTH, _slug, by_right=True),
    # Other people's accounts.
    Try("account_end_session", POST, _of("session")),
    Try("account_end_computer", POST, _of("computer")),
    Try("account_change_address", BOTH, _of("address_link")),
    Try("mfa_edit_webauthn", BOTH, _of("passkey"), {"name": "mine now"}),
    Try("mfa_remove_webauthn", BOTH, _of("passkey")),
)

# Pages that are the same address for everybody, and show what is one's own. None may tell of another group.
LISTS = {
    "home": GET,
    "requests": GET,
    "uploads:mine": GET,
    "profile": GET,
    "account_sessions": GET,
}

# Addresses that only lead on to another one of these tables.
LEADING_ON = ("accounts/", "accounts/social/connections/")

# Addresses that name nobody's things; by the reason, their names (or their routes, where they have none).
NOBODYS: dict[str, tuple[str, ...]] = {
    "what analyses there are, for everybody who is signed in": ("catalogue:index",),
    "what the API is, not what is in it": ("api-1:openapi-json", "api-1:openapi-view"),
    "asks by a join code that one was given, or for a group that does not exist yet": ("request_ask",),
    "signs out the very computer that asks, by its own token": ("api-1:sign_out",),
    "one's own account, by whoever is signed in": (
        *LEADING_ON,
        "account_delete",
        "account_email",
        "account_change_password",
        "account_set_password",
        "account_reauthenticate",
        "socialaccount_connections",
        "usersessions_list",
        *(f"mfa_{page}" for page in ("index", "reauthenticate", "activate_totp", "deactivate_totp", "list_webauthn")),
        *(f"mfa_{page}" for page in ("add_webauthn", "reauthenticate_webauthn", "view_recovery_codes")),
        *(f"mfa_{page}" for page in ("generate_recovery_codes", "download_recovery_codes")),
    ),
    "gives a computer of one's own a sign-in, or asks by a token that only its owner has": (
        "credentials:device",
        "idp:oidc:device_authorization",
        "idp:oidc:userinfo",
    ),
}

# Open to who is not signed in; by the reason.
OPEN: dict[str, tuple[str, ...]] = {
    "the way in": (
        "account_login",
        "account_logout",
        "account_inactive",
        "account_signup",
        "account_deleted",
        "account_email_verification_sent",
        "account_mail",
        "account_mail_again",
        "account_confirm_login_code",
        "account_confirm_email",
        "account_reset_password",
        "account_reset_password_done",
        "account_reset_password_from_key",
        "account_reset_password_from_key_done",
        "mfa_authenticate",
        "mfa_login_webauthn",
    ),
    "the way in by an account elsewhere": (
        *(f"socialaccount_{page}" for page in ("login_cancelled", "login_error", "signup")),
        *(f"accounts/social/{page}/" for page in ("login/cancelled", "login/error", "signup")),
        *(f"{provider}_{step}" for provider in ("github", "google", "orcid", "openid_connect") for step in ("login", "callback")),
        "google_login_by_token",
    ),
    "the helper, and its sign-in, which a person on the site allows": (
        "credentials:helper",
        "credentials:device_code",
        "credentials:token",
        *(f"idp:oidc:{page}" for page in ("configuration", "jwks", "authorization", "token", "revoke", "device_code", "logout")),
    ),
    "the documentation, which holds nothing secret": ("documentation",),
    "the site's icon": ("favicon",),
    "for load balancers": ("health:healthz", "health:readyz"),
    "the API's root, which answers nothing": ("api-1:api-root",),
}

# What an address may have in it without naming a thing of somebody's: single-use tokens, who else signs people in, and a file of
# the documentation.
HARMLESS = {"key", "uidb36", "provider_id", "document"}
# `<int:pk>`, or a named group of a regular expression, with one level of parentheses in it.
PARAMETER = re.compile(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)|<(?:\w+:)?(\w+)>")


@dataclass(frozen=True)
class Page:
    """One pattern of the site's addresses."""

    name: str
    route: str
    parameters: tuple[str, ...]


def pages(resolver: URLResolver | None = None, route: str = "", spaces: tuple[str, ...] = ()) -> Iterator[Page]:
    """Every address that the site answers, by Django's own account."""
    for pattern in (resolver or get_resolver()).url_patterns:
        here = f"{route}{pattern.pattern}"
        if isinstance(pattern, URLPattern):
            name = ":".join((*spaces, pattern.name)) if pattern.name else here
            yield Page(name, here, tuple(_parameters(here)))
        else:
            yield from pages(pattern, here, (*spaces, pattern.namespace) if pattern.namespace else spaces)


def administration(theirs: Lab) -> dict[str, str]:
    """Every address of the administration, filled with the other group's things."""
    values: dict[str, Any] = {"object_id": theirs.group, "pk": theirs.group, "id": theirs.person, "content_type_id": 1}
    values |= {"app_label": "groups", "url": "nowhere/"}
    found = {}
    for page in pages():
        if page.route.startswith("admin/"):
            found[page.name] = f"/{_fill(page.route, values)}"
    return found


def signed_out_addresses(mine: Lab, theirs: Lab) -> dict[str, str]:
    """Every address that asks for a sign-in."""
    tried = {path.name: path.address(mine, theirs) for path in TRIES}
    bare = [*LISTS, *(name for names in NOBODYS.values() for name in names)]
    return tried | {name: f"/{name}" if "/" in name else reverse(name) for name in bare} | administration(theirs)


def _parameters(route: str) -> Iterator[str]:
    yield from (match[1] or match[2] for match in PARAMETER.finditer(route))


def _fill(route: str, values: dict[str, Any]) -> str:
    return PARAMETER.sub(lambda match: str(values[match[1] or match[2]]), route).replace("^", "").replace("$", "")
