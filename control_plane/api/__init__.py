"""The API that Cohort's own pages use. For people signed in through the web; every changing call needs the page's CSRF token.

One module a subject, each with its router, and `errors` for what every refusal is answered with. It may import everything but the
other ways in, the pages, and what workers do; nothing but `urls` imports it.
"""

from django.contrib.auth.decorators import login_required
from ninja import NinjaAPI
from ninja.security import django_auth

from control_plane.api import credentials, errors, files, uploads

api = NinjaAPI(title="Cohort", version="1", auth=django_auth, docs_url="docs/", docs_decorator=login_required)
errors.answer_errors(api)
api.add_router("/credentials/", credentials.router)
api.add_router("/uploads/", uploads.router)
api.add_router("/files/", files.router)
