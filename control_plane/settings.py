"""Django's settings, from `control_plane.base.config`."""

from typing import Any

import dj_database_url
import django_stubs_ext
from csp.constants import NONE, SELF
from django.templatetags.static import static
from django.urls import reverse_lazy

from control_plane.accounts.providers import provider_settings
from control_plane.base.config import ROOT, config
from control_plane.base.email_url import parse_email_url

django_stubs_ext.monkeypatch()

_config = config()

SECRET_KEY = _config.secret_key.get_secret_value()
DEBUG = _config.debug
ALLOWED_HOSTS = list(_config.allowed_hosts)
CSRF_TRUSTED_ORIGINS = [_config.site_url]

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "control_plane.administration.admin_app.SiteConfig",
    "django.contrib.auth",
    "django.forms",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.idp.oidc",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.github",
    "allauth.socialaccount.providers.google",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.socialaccount.providers.orcid",
    "allauth.usersessions",
    "csp",
    "django_htmx",
    "django_tasks",
    "django_tasks_db",
    "ninja",
    "control_plane.accounts",
    "control_plane.administration",
    "control_plane.base.audit",
    "control_plane.operation.backups",
    "control_plane.research.catalogue",
    "control_plane.access.computers",
    "control_plane.deployments",
    "control_plane.doctor",
    "control_plane.access.groups",
    "control_plane.operation.health",
    "control_plane.research.jobs",
    "control_plane.access.keys",
    "control_plane.neurocaas_import",
    "control_plane.notifications",
    "control_plane.access.people",
    "control_plane.access.limits",
    "control_plane.access.retirement",
    "control_plane.access.review",
    "control_plane.access.rosters",
    "control_plane.research.storage",
    "control_plane.research.uploads",
    "control_plane.worker",
    "web.accounts",
    "web.catalogue",
    "web.configurations",
    "web.credentials",
    "web.deployments",
    "web.files",
    "web.groups",
    "web.health",
    "web.jobs",
    "web.limits",
    "web.review",
    "web.uploads",
]

MIDDLEWARE = [
    "control_plane.accounts.middleware.ClientAddressMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "control_plane.base.content_policy.ContentPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "control_plane.base.request_input.UnreadableMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "control_plane.accounts.middleware.KnownDeviceMiddleware",
    "control_plane.accounts.middleware.SecondFactorMiddleware",
    "control_plane.accounts.middleware.AccountPagesMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "control_plane.base.audit.refusals.RefusalMiddleware",
]

ROOT_URLCONF = "control_plane.urls"
# A widget of ours has a template of its own, which the form renderer finds among the apps'.
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
WSGI_APPLICATION = "control_plane.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "control_plane/templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "control_plane.accounts.permissions.context",
                "control_plane.access.groups.permissions.context",
            ],
            "builtins": ["control_plane.base.sizes"],
        },
    }
]

DATABASES: dict[str, dict[str, Any]] = {
    "default": dict(
        dj_database_url.parse(
            _config.database_url.get_secret_value() or "sqlite://:memory:",
            conn_max_age=60,
            conn_health_checks=True,
        )
    )
}
if not _config.database_url:
    # Not as a URL, in which some characters of a folder's name would have another meaning.
    DATABASES["default"]["NAME"] = str(_config.var_dir.resolve() / "cohort.sqlite3")
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Write-ahead logging lets pages read while the worker writes; taking the write lock at BEGIN waits for it instead of
    # failing half-way through a transaction.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "messages", "urgent"]}}

# In the database, so that all processes of the web server share the counts; `migrate` makes the table.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "accounts_cache",
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    }
}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "account_login"
PASSWORD_RESET_TIMEOUT = 24 * 60 * 60
ACCOUNT_ADAPTER = "control_plane.access.people.adapter.PeopleAdapter"
ACCOUNT_FORMS = {
    "add_email": "web.accounts.forms.ChangeAddressForm",
    "change_password": "web.accounts.password_forms.ChangePasswordForm",
    "reset_password_from_key": "web.accounts.password_forms.NewPasswordForm",
    "set_password": "web.accounts.password_forms.SetPasswordForm",
    "signup": "control_plane.access.groups.signup.SignupForm",
}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
# People are told when their account is changed; somebody who guesses addresses learns nothing.
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_CHANGE_EMAIL = True
# Only in the browser that signed up a moment ago.
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
# allauth's own limit on failed logins counts by account alone, so that anybody could lock anybody out; ours: accounts.attempts.
ACCOUNT_RATE_LIMITS = {"login_failed": None}
ACCOUNT_SESSION_REMEMBER = True
MFA_ADAPTER = "control_plane.accounts.second_factors.SecondFactorAdapter"
MFA_FORMS = {
    "activate_totp": "web.accounts.second_factor_forms.ActivateAppForm",
    "add_webauthn": "web.accounts.second_factor_forms.AddForm",
    "authenticate": "web.accounts.second_factor_forms.CodeForm",
    "authenticate_webauthn": "web.accounts.second_factor_forms.SecondStepForm",
    "login_webauthn": "web.accounts.second_factor_forms.SignInForm",
    "reauthenticate": "web.accounts.second_factor_forms.CodeAgainForm",
    "reauthenticate_webauthn": "web.accounts.second_factor_forms.AgainForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_ISSUER = "Cohort"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not _config.secure_cookies
SOCIALACCOUNT_ADAPTER = "control_plane.accounts.provider_adapter.ProviderAdapter"
SOCIALACCOUNT_FORMS = {"signup": "control_plane.access.groups.signup.ProviderForm"}
# People who sign up by a provider are asked which group they want to be in, too.
SOCIALACCOUNT_AUTO_SIGNUP = False
SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
SOCIALACCOUNT_PROVIDERS = provider_settings(_config)
USERSESSIONS_ADAPTER = "control_plane.accounts.services.sessions.SessionsAdapter"
# The sign-in of members' own computers (control_plane.access.computers). A computer's sign-in ends for good after these days: were
# its refresh token replaced at each use, it would never end, and an answer lost on the way would end it early. Tokens are opaque,
# and nobody asks for an identity token, so that there is no signing key to keep.
IDP_OIDC_ACCESS_TOKEN_EXPIRES_IN = 24 * 60 * 60
IDP_OIDC_REFRESH_TOKEN_EXPIRES_IN = _config.computer_days * 24 * 60 * 60
IDP_OIDC_ROTATE_REFRESH_TOKEN = False
IDP_OIDC_DEVICE_CODE_EXPIRES_IN = 10 * 60

# EMAIL_BACKEND, EMAIL_HOST and the like.
globals().update(parse_email_url(_config.email_url.get_secret_value()))
DEFAULT_FROM_EMAIL = SERVER_EMAIL = _config.default_from_email

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = _config.var_dir / "static"
# The files of each package that pages use, and no others.
VENDOR_FILES = {
    "vendor/aws4fetch": {"aws4fetch.esm.mjs"},
    "vendor/bootstrap": {
        "css/bootstrap.min.css",
        "css/bootstrap.min.css.map",
        "js/bootstrap.bundle.min.js",
        "js/bootstrap.bundle.min.js.map",
    },
    "vendor/hash-wasm": {"crc32.umd.min.js", "md5.umd.min.js"},
    "vendor/htmx": {"htmx.min.js"},
    "vendor/uppy": {"uppy.min.css", "uppy.min.mjs"},
}
STATICFILES_FINDERS = [
    "control_plane.base.static_files.ListedVendorFiles",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
]
STATICFILES_DIRS = [
    ROOT / "control_plane/static",
    ("vendor/aws4fetch", ROOT / "node_modules/aws4fetch/dist"),
    ("vendor/bootstrap", ROOT / "node_modules/bootstrap/dist"),
    ("vendor/hash-wasm", ROOT / "node_modules/hash-wasm/dist"),
    ("vendor/htmx", ROOT / "node_modules/htmx.org/dist"),
    ("vendor/uppy", ROOT / "node_modules/uppy/dist"),
]
# Source maps are for debugging only; compressing them took most of the time.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ("gif", "gz", "ico", "jpg", "jpeg", "map", "png", "webp", "woff", "woff2", "zip")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "control_plane.base.static_files.StaticFiles"},
}

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = _config.secure_cookies
# A load balancer asks these over plain HTTP, within its own network.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000 if _config.secure_cookies else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _config.secure_cookies
SECURE_HSTS_PRELOAD = _config.secure_cookies
SESSION_COOKIE_SECURE = _config.secure_cookies
CSRF_COOKIE_SECURE = _config.secure_cookies
X_FRAME_OPTIONS = "DENY"
# Only the group's own files, which are in S3, are loaded from another host: a page that shows them adds their folder
# (control_plane.base.content_policy); no other page may send requests to another host.
_COMMON_POLICY = {
    "default-src": [SELF],
    "base-uri": [NONE],
    "connect-src": [SELF],
    "form-action": [SELF],
    "frame-ancestors": [NONE],
    "object-src": [NONE],
}
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        **_COMMON_POLICY,
        "img-src": [SELF, "data:", "blob:"],
        "media-src": [SELF, "blob:"],
        # Checksums are worked out by WebAssembly.
        "script-src": [SELF, "'wasm-unsafe-eval'"],
        "worker-src": [SELF],
    },
}
# The administration's frame (django-unfold) evaluates expressions in its own attributes and writes its colours into its pages; a
# script in a page still does not run.
ADMINISTRATION_POLICY = {
    **_COMMON_POLICY,
    "img-src": [SELF, "data:"],
    "script-src": [SELF, "'unsafe-eval'"],
    "style-src": [SELF, "'unsafe-inline'"],
}

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"refusals": {"()": "control_plane.base.logs.OneLineForRefusals"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["refusals"]}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {"cohort": {"level": "INFO"}},
}

UNFOLD = {
    "SITE_TITLE": "Cohort",
    "SITE_HEADER": "Cohort",
    "SITE_SUBHEADER": "Administration",
    "SITE_URL": reverse_lazy("home"),
    "SITE_SYMBOL": "diversity_3",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("cohort/icon.svg")}],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [lambda request: static("cohort/admin.css")],
    "SCRIPTS": [lambda request: static("vendor/htmx/htmx.min.js")],
    "COLORS": {
        "primary": {
            "50": "#eef6f6",
            "100": "#d5e9e9",
            "200": "#aed4d5",
            "300": "#7db8ba",
            "400": "#4c989b",
            "500": "#2f7c80",
            "600": "#1f6569",
            "700": "#1b5155",
            "800": "#194245",
            "900": "#17383a",
            "950": "#0a2123",
        }
    },
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": [
            {
                "title": "Access",
                "items": [
                    {"title": "People", "icon": "person", "link": reverse_lazy("admin:accounts_user_changelist")},
                    {"title": "Import and export", "icon": "upload_file", "link": reverse_lazy("admin:rosters_roster_changelist")},
                    {"title": "Requests", "icon": "how_to_reg", "link": reverse_lazy("requests")},
                    {"title": "Groups", "icon": "groups", "link": reverse_lazy("admin:groups_group_changelist")},
                    {"title": "Keys", "icon": "key", "link": reverse_lazy("admin:keys_keyuse_changelist")},
                    {"title": "Analyses", "icon": "science", "link": reverse_lazy("admin:groups_analysis_changelist")},
                ],
            },
            {
                "title": "Operation",
                "items": [
                    {"title": "Deployments", "icon": "rocket_launch", "link": reverse_lazy("deployments:list")},
                    {"title": "Health", "icon": "monitor_heart", "link": reverse_lazy("health:page")},
                    {"title": "Access review", "icon": "fact_check", "link": reverse_lazy("review:page")},
                    {"title": "Quotas", "icon": "speed", "link": reverse_lazy("quotas:page")},
                    {"title": "Audit trail", "icon": "history", "link": reverse_lazy("admin:audit_auditevent_changelist")},
                    {"title": "Documentation", "icon": "menu_book", "link": reverse_lazy("documentation")},
                ],
            },
        ],
    },
}
