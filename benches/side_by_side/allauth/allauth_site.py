"""django-allauth as its documentation sets it up, with a profile page of one row: sessions in Redis, accounts in PostgreSQL.

`python allauth_site.py` makes the tables and somebody who is signed in, and prints their cookie. gunicorn serves `application`.
"""

import os
from urllib.parse import urlsplit

import django
from django.conf import settings

database = urlsplit(os.environ["DATABASE_URL"])
settings.configure(
    SECRET_KEY="k" * 64,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "allauth",
        "allauth.account",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
        "allauth.account.middleware.AccountMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    AUTHENTICATION_BACKENDS=["allauth.account.auth_backends.AuthenticationBackend"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": database.hostname,
            "PORT": database.port or 5432,
            "USER": database.username,
            "PASSWORD": database.password or "",
            "NAME": database.path.lstrip("/"),
            "CONN_MAX_AGE": None,
        }
    },
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": os.environ["REDIS_URL"],
            "KEY_PREFIX": os.environ["REDIS_KEY_PREFIX"] + "allauth",
        }
    },
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from django.contrib.auth.decorators import login_required  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.template import engines  # noqa: E402
from django.urls import include, path  # noqa: E402

PROFILE = engines["django"].from_string(
    """{% extends "allauth/layouts/manage.html" %}{% block head_title %}Your profile{% endblock %}{% block content %}
<h1>{{ user.get_full_name }}</h1><p>@{{ user.username }}</p>
<dl><dt>Username</dt><dd>{{ user.username }}</dd><dt>Name</dt><dd>{{ user.get_full_name }}</dd>
<dt>Email</dt><dd>{{ user.email }}</dd><dt>Joined</dt><dd>{{ user.date_joined }}</dd></dl>{% endblock %}"""
)


@login_required
def profile(request):
    return HttpResponse(PROFILE.render({}, request))


urlpatterns = [path("accounts/", include("allauth.urls")), path("profile/", profile)]
application = get_wsgi_application()


def prepare():
    """Makes the tables and a session; returns its cookie."""
    from importlib import import_module

    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    ann = get_user_model().objects.create_user("annalee", "annalee@example.org", "a quiet morning in May")
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(ann.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = ann.get_session_auth_hash()
    session.save()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


if __name__ == "__main__":
    print(prepare())
