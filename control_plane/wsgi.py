"""WSGI application that gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

from control_plane.base.aws import warm_up

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "control_plane.settings")
application = get_wsgi_application()
# Once in each of gunicorn's workers, before it serves.
warm_up()
