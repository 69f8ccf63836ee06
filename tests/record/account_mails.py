"""What happens to accounts, one thing after another. Each step's e-mails are recorded, but for steps whose names begin with `_`."""

import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from allauth.socialaccount.models import SocialAccount
from django.core.cache import cache
from django.test import Client, RequestFactory, override_settings
from django.utils import timezone

from tests.record.running import PASSWORD, Site, browser, model
from tests.record.stories import ADMINISTRATOR, HOLDER, MEMBER, make_lab, person

Step = Callable[[Site], None]
NEW_PASSWORD = "another long enough one"
NEWCOMER, KNOWN = "newcomer@example.org", "known@example.org"


def _make_people(site: Site) -> None:
    """A lab, and somebody outside it."""
    make_lab(site)
    person(KNOWN)


def sign_up(site: Site) -> None:
    """Somebody signs up, and asks for a new group."""
    _sign_up(NEWCOMER)


def sign_up_with_an_address_that_has_an_account(site: Site) -> None:
    """Somebody signs up with an address that has an account."""
    _sign_up(KNOWN)


def sign_in_before_the_address_is_verified(site: Site) -> None:
    """Somebody signs in whose address is not verified yet."""
    cache.clear()
    Client().post("/accounts/login/", {"login": NEWCOMER, "password": PASSWORD})


def verify_the_address(site: Site) -> None:
    """Somebody verifies their address, so that the request for a new group goes to the administrators."""
    key = re.search(r"/accounts/confirm-email/[^/\s]+/", _last(site, NEWCOMER, _sign_in_again))
    assert key is not None
    Client().post(key[0])


def forget_the_password(site: Site) -> None:
    """Somebody has forgotten their password."""
    _forget(KNOWN)


def forget_the_password_without_an_account(site: Site) -> None:
    """A new password is asked for, for an address that has no account."""
    _forget("nobody@example.org")


def set_the_forgotten_password(site: Site) -> None:
    """Somebody sets a new password by the link, and holds a key."""
    link = re.search(r"/accounts/password/reset/key/\S+", _last(site, HOLDER, lambda: _forget(HOLDER)))
    assert link is not None
    client = Client()
    there = client.get(link[0])["location"]
    client.post(there, {"password1": PASSWORD, "password2": PASSWORD})


def change_the_password(site: Site) -> None:
    """A member changes their password, and has their access keys replaced."""
    given = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    browser(HOLDER).post("/accounts/password/change/", {**given, "replace_keys": "on"})


def set_a_first_password(site: Site) -> None:
    """Somebody who came by an account elsewhere sets a password."""
    somebody = person("elsewhere@example.org")
    somebody.set_unusable_password()
    somebody.save()
    browser(somebody.email).post("/accounts/password/set/", {"password1": PASSWORD, "password2": PASSWORD})


def ask_for_another_address(site: Site) -> None:
    """Somebody wants another address."""
    browser(MEMBER).post("/accounts/email/", {"action_add": "", "email": "moved@example.org"})


def ask_for_an_address_that_has_an_account(site: Site) -> None:
    """Somebody wants an address that has an account."""
    browser(MEMBER).post("/accounts/email/", {"action_add": "", "email": HOLDER})


def change_the_address(site: Site) -> None:
    """Somebody opens the link that changes their address."""
    somebody = person("moving@example.org")
    client = browser(somebody.email)
    told = _last(
        site, "moves@example.org", lambda: client.post("/accounts/email/", {"action_add": "", "email": "moves@example.org"})
    )
    link = re.search(r"/accounts/email/change/\S+", told)
    assert link is not None
    client.post(link[0])


def add_an_authenticator_app(site: Site) -> None:
    """Somebody sets up an authenticator app."""
    _set_up_app(browser(HOLDER))


def make_recovery_codes(site: Site) -> None:
    """Somebody makes new recovery codes."""
    client = browser(HOLDER)
    client.post("/accounts/2fa/recovery-codes/generate/")


def remove_the_authenticator_app(site: Site) -> None:
    """Somebody removes their authenticator app."""
    client = browser(HOLDER)
    client.post("/accounts/2fa/totp/deactivate/")


def add_a_passkey(site: Site) -> None:
    """Somebody adds a passkey; the page needs a device, so that allauth's own call is made."""
    _notify("mfa/email/webauthn_added", HOLDER)


def remove_a_passkey(site: Site) -> None:
    """Somebody removes a passkey."""
    client = browser(MEMBER)
    user = model("accounts.User").objects.get(email=MEMBER)
    passkey = Authenticator.objects.create(user=user, type="webauthn", data={"name": "key ring", "credential": {}})
    client.post(f"/accounts/2fa/webauthn/keys/{passkey.pk}/remove/")


def connect_an_account_elsewhere(site: Site) -> None:
    """Somebody connects an account elsewhere; that needs a server, so that allauth's own call is made."""
    _notify("socialaccount/email/account_connected", MEMBER, provider={"name": "ORCID"})


def disconnect_an_account_elsewhere(site: Site) -> None:
    """Somebody disconnects an account elsewhere."""
    user = model("accounts.User").objects.get(email=MEMBER)
    account = SocialAccount.objects.create(user=user, provider="orcid", uid="0000", extra_data={})
    with override_settings(SOCIALACCOUNT_PROVIDERS={"orcid": {"APPS": [{"client_id": "cohort", "secret": "hush"}]}}):
        browser(MEMBER).post("/accounts/3rdparty/", {"account": account.pk})


def sign_out_everywhere(site: Site) -> None:
    """Somebody signs out everywhere."""
    client = browser(MEMBER)
    client.post("/accounts/sessions/", {"action": "everywhere", "everywhere": "1"})


def have_the_address_changed(site: Site) -> None:
    """An administrator changes somebody's address."""
    somebody = person("before@example.org")
    client = browser(ADMINISTRATOR)
    address = f"/admin/accounts/user/{somebody.pk}/change/"
    form = client.get(address).context["adminform"].form
    given = {name: _text(form[name].value()) for name in form.fields}
    client.post(address, {**{name: value for name, value in given.items() if value}, "email": "after@example.org"})


def have_a_second_factor_removed(site: Site) -> None:
    """An administrator removes somebody's second factor."""
    user = model("accounts.User").objects.get(email=MEMBER)
    factor = Authenticator.objects.create(user=user, type="totp", data={})
    browser(ADMINISTRATOR).post(f"/admin/mfa/authenticator/{factor.pk}/delete/", {"post": "yes"})


def have_a_link_to_set_a_password_sent(site: Site) -> None:
    """An administrator has a link sent by which somebody sets a password."""
    user = model("accounts.User").objects.get(email=KNOWN)
    chosen = {"action": "send_password_link", "_selected_action": user.pk}
    browser(ADMINISTRATOR).post("/admin/accounts/user/", chosen)


def delete_the_account(site: Site) -> None:
    """Somebody deletes their account, and AWS has let go of it."""
    client = browser(MEMBER)
    client.post("/accounts/delete/", {"typed_email": MEMBER})
    site.deploy()
    model("deployments.Deployment").objects.update(finished_at=timezone.now() - timedelta(hours=2))
    site.must("sweep")


STORY: tuple[Step, ...] = (
    _make_people,
    sign_up,
    sign_up_with_an_address_that_has_an_account,
    sign_in_before_the_address_is_verified,
    verify_the_address,
    forget_the_password,
    forget_the_password_without_an_account,
    set_the_forgotten_password,
    change_the_password,
    set_a_first_password,
    ask_for_another_address,
    ask_for_an_address_that_has_an_account,
    change_the_address,
    add_an_authenticator_app,
    make_recovery_codes,
    remove_the_authenticator_app,
    add_a_passkey,
    remove_a_passkey,
    connect_an_account_elsewhere,
    disconnect_an_account_elsewhere,
    sign_out_everywhere,
    have_the_address_changed,
    have_a_second_factor_removed,
    have_a_link_to_set_a_password_sent,
    delete_the_account,
)


def _sign_up(email: str) -> None:
    fields = {"email": email, "name": "New Comer", "password1": PASSWORD, "password2": PASSWORD, "requested_group": "Meitner Lab"}
    Client().post("/accounts/signup/", fields)


def _sign_in_again() -> None:
    cache.clear()
    Client().post("/accounts/login/", {"login": NEWCOMER, "password": PASSWORD})


def _forget(email: str) -> None:
    cache.clear()
    Client().post("/accounts/password/reset/", {"email": email})


def _last(site: Site, to: str, cause: Callable[[], object]) -> str:
    """The text of the e-mail that this causes."""
    site.mails()
    cause()
    return str(next(mail for mail in site.mails() if mail.to == [to]).body)


def _notify(template: str, email: str, **more: Any) -> None:
    request = RequestFactory().get("/")
    with context.request_context(request):
        get_adapter(request).send_notification_mail(template, model("accounts.User").objects.get(email=email), more)


def _set_up_app(client: Client) -> None:
    secret = client.get("/accounts/2fa/totp/activate/").context["form"].secret
    client.post("/accounts/2fa/totp/activate/", {"code": format_hotp_value(hotp_value(secret, int(time.time()) // 30))})
    cache.clear()


def _text(value: object) -> str:
    return "" if value in (None, False) else str(value)
