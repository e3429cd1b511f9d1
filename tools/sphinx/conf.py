# SPDX-License-Identifier: GPL-3.0-or-later
"""What Sphinx makes the site with; tools/site.py lays out its sources beside this file."""

from typing import Any

project = "kestrel.real_ip"
author = "kestrel.real_ip contributors"
copyright = author
language = "en"

extensions = ["myst_parser", "sphinx.ext.intersphinx", "sphinx_antsibull_ext"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
#: Documents and code name the collection with an underscore, which ends no word there.
smartquotes = False
default_role = "any"
# Whatever can't be resolved is a fault.
nitpicky = True
highlight_language = "yaml+jinja"

# Headings have the anchors that they have in a repository's pages, and links lead to them.
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_block"]

# Written by tools/site.py: the site must be made without asking anybody.
intersphinx_mapping: dict[str, tuple[str, str]] = {
    "ansible": ("https://docs.ansible.com/ansible/latest/", "ansible.inv"),
}

html_theme = "furo"
html_title = "kestrel.real_ip"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_last_updated_fmt = None
html_theme_options: dict[str, Any] = {}
