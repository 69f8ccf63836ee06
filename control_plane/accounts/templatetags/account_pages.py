"""Template tags of the account pages: form fields in the site's style, and a few texts."""

from typing import Any

from django import forms, template
from django.forms.boundfield import BoundField

from control_plane.accounts.services import requested_mail
from control_plane.base.config import config

register = template.Library()

# allauth's own labels, in the wording of the other pages.
LABELS = {
    "Email": "E-mail address",
    "New Password": "New password",
    "New Password (again)": "Repeat new password",
    "Password (again)": "Repeat password",
    "Passwordless": "Sign in with it alone, without a password",
}
BROWSERS = ("Edg", "OPR", "Firefox", "Chrome", "Safari", "curl")
NAMES = {"Edg": "Edge", "OPR": "Opera"}
SYSTEMS = {"Windows": "Windows", "iPhone": "iPhone", "iPad": "iPad", "Android": "Android", "Mac OS X": "macOS", "Linux": "Linux"}


@register.inclusion_tag("account/_field.html")
def form_field(field: BoundField, label: str = "", is_optional: bool | None = None) -> dict[str, Any]:
    """Render a field with its label, help and errors. `is_optional` overrides what the field itself says."""
    is_check = isinstance(field.field.widget, forms.CheckboxInput)
    kind = "form-check-input" if is_check else "form-control"
    is_wrong = " is-invalid" if field.errors else ""
    # A placeholder that repeats the label vanishes when it is needed.
    field.field.widget.attrs.pop("placeholder", None)
    return {
        "field": field,
        "label": label or LABELS.get(str(field.label), field.label),
        "is_optional": not field.field.required if is_optional is None else is_optional,
        "is_check": is_check,
        "widget": field.as_widget(attrs={"class": kind + is_wrong}),
    }


@register.inclusion_tag("account/_fields.html")
def form_fields(form: forms.BaseForm) -> dict[str, Any]:
    """Render all fields of a form."""
    return {"form": form}


@register.simple_tag
def sign_up_is_open() -> bool:
    """Check whether people may sign up by themselves."""
    return config().sign_up == "open"


@register.simple_tag(takes_context=True)
def mail_asked_for(context: dict[str, Any], purpose: str) -> requested_mail.RequestedMail | None:
    """Return the e-mail that was last requested in this browser, if it was for this purpose."""
    mail = requested_mail.last_requested(context["request"])
    return mail if mail is not None and mail.purpose == purpose else None


@register.filter
def browser_name(user_agent: str) -> str:
    """Return a readable name for a User-Agent, such as `Firefox on Linux`."""
    browser = next((NAMES.get(name, name) for name in BROWSERS if f"{name}/" in user_agent), "Another browser")
    system = next((name for word, name in SYSTEMS.items() if word in user_agent), "")
    return f"{browser} on {system}" if system else browser
