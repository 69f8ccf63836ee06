"""People, and their second factors."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from factory.declarations import LazyFunction, Sequence, SubFactory, Trait
from factory.django import DjangoModelFactory

from control_plane.accounts.models import User

PASSWORD = "a long enough password"


class UserFactory(DjangoModelFactory[User]):
    """A person whose address is verified, by `create_user`. Traits: `administrator`, and `unverified` as after a sign-up."""

    class Meta:
        model = User

    class Params:
        administrator = Trait(is_staff=True, is_superuser=True)

    email: Any = Sequence(lambda number: f"person{number:03}@example.org")
    password: str | None = None
    unverified = False

    @classmethod
    def _create(cls, model_class: type[User], *args: Any, unverified: bool, **fields: Any) -> User:
        user = User.objects.create_user(**fields)
        if unverified:
            EmailAddress.objects.filter(user=user).update(verified=False)
        return user


class PasswordUserFactory(UserFactory):
    """Ada, or by `email` somebody else, who signs in with `PASSWORD`."""

    email = "ada@example.org"
    password = PASSWORD


class AuthenticatorFactory(DjangoModelFactory[Authenticator]):
    """A second factor: an app's by default, a key by the trait `passkey`."""

    class Meta:
        model = Authenticator

    class Params:
        passkey = Trait(type=Authenticator.Type.WEBAUTHN, data={"name": "key ring", "credential": {}})

    user = SubFactory(UserFactory)
    type = Authenticator.Type.TOTP
    data: Any = LazyFunction(dict)
