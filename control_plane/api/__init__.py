"""REST API of Cohort's own pages and helper. For people signed in through the web; changes need the page's CSRF token.

One module per subject, each with its router; `errors` maps exceptions to responses. It may import everything but the other ways
in, the pages, and the workers' code; nothing but `urls` imports it.
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
