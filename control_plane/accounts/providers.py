"""Sign-in providers from the settings, in the form of allauth's own settings."""

from typing import Any

from control_plane.base.config import Config

# The provider id of the institution's own server, as in /accounts/oidc/institution/login/.
INSTITUTION = "institution"


def provider_settings(config: Config) -> dict[str, Any]:
    """Return SOCIALACCOUNT_PROVIDERS. A provider without settings has no app, so no button, and its URLs do not exist.

    Google and GitHub are trusted when they say that an address is verified: it gives access to the account with that address.
    An institution's server is trusted for the domains in `oidc_email_domains` (see `ProviderAdapter`).
    """
    believed = {"email_authentication": True}
    providers: dict[str, Any] = {
        "google": {
            "APPS": _apps(config.google_client_id, config.google_client_secret.get_secret_value(), settings=believed),
            "OAUTH_PKCE_ENABLED": True,
        },
        "github": {"APPS": _apps(config.github_client_id, config.github_client_secret.get_secret_value(), settings=believed)},
        "orcid": {"APPS": _apps(config.orcid_client_id, config.orcid_client_secret.get_secret_value())},
        "openid_connect": {
            "APPS": _apps(
                config.oidc_client_id,
                config.oidc_client_secret.get_secret_value(),
                provider_id=INSTITUTION,
                name=config.oidc_name,
                settings={"server_url": config.oidc_server_url.rstrip("/")},
            ),
            "OAUTH_PKCE_ENABLED": True,
            # allauth resolves the class once, whether or not a server is configured.
            "provider_class": "control_plane.accounts.institution.InstitutionProvider",
        },
    }
    return {name: values for name, values in providers.items() if values["APPS"] or "provider_class" in values}


def _apps(client_id: str, secret: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"client_id": client_id, "secret": secret, **fields}] if client_id else []
