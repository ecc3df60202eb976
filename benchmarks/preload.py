"""Loads Django once, in the server that forks the clients."""

from __future__ import annotations

import django

django.setup()
