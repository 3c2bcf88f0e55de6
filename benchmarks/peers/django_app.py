"""django-oauth-toolkit (https://github.com/django-oauth/django-oauth-toolkit) as a WSGI application, for a measurement.

Run by gunicorn in an environment of its own (``django.lock``), not by the service's interpreter. ``CLIENT_ID``,
``CLIENT_SECRET`` and ``HASH_SECRET`` (``1``: as it comes) are taken from the environment. Its database is SQLite in the
memory of the process: nothing is written to a disk, and nothing is kept when it ends.
"""

import os

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": "file:peer?mode=memory&cache=shared",
            "CONN_MAX_AGE": None,
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
    MIDDLEWARE=[],
    OAUTH2_PROVIDER={
        "ACCESS_TOKEN_EXPIRE_SECONDS": 3600,
        "SCOPES": {"read": "Read", "write": "Write", "introspection": "Ask about tokens"},
        "DEFAULT_SCOPES": ["read", "write"],
    },
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.urandom(32).hex(),
    USE_TZ=True,
)
django.setup()


def ready(_: HttpRequest) -> HttpResponse:
    """Answers once everything below has been done."""
    return HttpResponse("ok")


urlpatterns = [
    path("health/ready", ready),
    path("oauth/", include("oauth2_provider.urls", namespace="oauth2_provider")),
]

call_command("migrate", verbosity=0)

from oauth2_provider.models import Application  # noqa: E402 - the models exist once Django is set up

Application.objects.create(
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
    hash_client_secret=os.environ["HASH_SECRET"] == "1",
    client_type=Application.CLIENT_CONFIDENTIAL,
    authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
    name="benchmark",
)
application = WSGIHandler()
