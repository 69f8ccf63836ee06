"""View of the documentation at `/docs/`, as `make docs` built it. On a host nginx serves it instead."""

import posixpath

from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils._os import safe_join
from django.views.decorators.http import require_safe
from django.views.static import serve

from control_plane.base.config import ROOT

SITE = ROOT / "site"
INDEX = "index.html"
NOT_BUILT = "The documentation is not built here: run `make docs`. Its text lies in the folder docs/."


@require_safe
def documentation(request: HttpRequest, document: str = "") -> HttpResponseBase:
    """Serve a file of the built site, for a folder its index page. Open to all: it holds nothing secret."""
    if not (SITE / INDEX).exists():
        raise Http404(NOT_BUILT)
    try:
        if document and not document.endswith("/") and _is_folder(document):
            # Without the slash the page's relative links would be wrong.
            return redirect(f"{request.path}/")
        is_folder = not document or document.endswith("/")
        return serve(request, posixpath.join(document, INDEX) if is_folder else document, document_root=str(SITE))
    except OSError as error:
        # A name that no file can have: too long, or not encodable.
        raise Http404("There is no such page of the documentation.") from error


def _is_folder(document: str) -> bool:
    # Raises SuspiciousFileOperation, which answers 400, for a path that leads out of the site.
    return (SITE / safe_join(str(SITE), document)).is_dir()
