"""How Sphinx builds this folder into a site: `make docs`."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from pathlib import Path

import django

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
# Whatever the shell has set: the pages are about the defaults.
os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="counters-docs-")
os.environ["DJANGO_SETTINGS_MODULE"] = "counters_project.settings"
os.environ["SECRET_KEY"] = secrets.token_urlsafe(50)
django.setup()

from docs.site import reference  # noqa: E402

project = "Fold counters"
author = "the django-fold-counters authors"
copyright = "2026, the django-fold-counters authors"  # noqa: A001
extensions = ["myst_parser", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "site", "figures"]
# Links to headings are checked, too: a page that moves one breaks the build.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]
suppress_warnings = ["myst.header"]
html_theme = "furo"
html_title = "Fold counters"
html_show_sourcelink = False
html_show_sphinx = False
html_static_path = ["site/static"]
html_css_files = ["site.css"]
# Everything comes from the site itself.
html_theme_options = {"navigation_with_keys": True}
copybutton_prompt_text = r"^\s*\$ "
copybutton_prompt_is_regexp = True

# The reference is made from the code each time, so it cannot drift from it.
reference.write(Path(__file__).resolve().parent / "reference")
