"""Django's settings, from `control_plane.config`."""

from typing import Any

import dj_database_url
import django_stubs_ext
from django.templatetags.static import static
from django.urls import reverse_lazy

from control_plane.config import ROOT, config
from control_plane.email_url import parse_email_url

django_stubs_ext.monkeypatch()

_config = config()

SECRET_KEY = _config.secret_key
DEBUG = _config.debug
ALLOWED_HOSTS = list(_config.allowed_hosts)
CSRF_TRUSTED_ORIGINS = [_config.site_url]

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.forms",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "django_htmx",
    "django_tasks",
    "django_tasks_db",
    "control_plane.accounts",
    "control_plane.administration",
    "control_plane.audit",
    "control_plane.deployments",
    "control_plane.groups",
    "control_plane.health",
    "control_plane.notifications",
    "web.home",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
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
            ]
        },
    }
]

DATABASES: dict[str, dict[str, Any]] = {
    "default": dict(
        dj_database_url.parse(
            _config.database_url or f"sqlite:///{_config.var_dir.resolve() / 'cohort.sqlite3'}",
            conn_max_age=60,
            conn_health_checks=True,
        )
    )
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Write-ahead logging lets pages read while the worker writes; taking the write lock at BEGIN waits for it instead of
    # failing half-way through a transaction.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
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
ACCOUNT_ADAPTER = "control_plane.accounts.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True

# EMAIL_BACKEND, EMAIL_HOST and the like.
globals().update(parse_email_url(_config.email_url.get_secret_value()))
DEFAULT_FROM_EMAIL = SERVER_EMAIL = _config.default_from_email

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = _config.var_dir / "static"
STATICFILES_DIRS = [
    ROOT / "control_plane/static",
    ("vendor/bootstrap", ROOT / "node_modules/bootstrap/dist"),
    ("vendor/htmx", ROOT / "node_modules/htmx.org/dist"),
]
# Source maps are for debugging only; compressing them took most of the time.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ("gif", "gz", "ico", "jpg", "jpeg", "map", "png", "webp", "woff", "woff2", "zip")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
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

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {"cohort": {"level": "INFO"}},
}

UNFOLD = {
    "SITE_TITLE": "Cohort",
    "SITE_HEADER": "Cohort",
    "SITE_SUBHEADER": "Administration",
    "SITE_URL": reverse_lazy("home"),
    "SITE_SYMBOL": "diversity_3",
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
                    {"title": "Groups", "icon": "groups", "link": reverse_lazy("admin:groups_group_changelist")},
                    {"title": "Analyses", "icon": "science", "link": reverse_lazy("admin:groups_analysis_changelist")},
                ],
            },
            {
                "title": "Operation",
                "items": [
                    {"title": "Deployments", "icon": "rocket_launch", "link": reverse_lazy("deployments:list")},
                    {"title": "Health", "icon": "monitor_heart", "link": reverse_lazy("health:page")},
                    {"title": "Audit trail", "icon": "history", "link": reverse_lazy("admin:audit_auditevent_changelist")},
                ],
            },
        ],
    },
}
