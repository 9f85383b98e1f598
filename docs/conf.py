"""How Sphinx makes the site: Markdown pages, the API from docstrings, the gallery from scripts.

`make docs` calls it, with warnings as errors; nothing is fetched, so that it builds offline. Pages
are written to build/docs/html. What is generated beside them, docs/api/ and docs/gallery/, is not
kept in git.
"""

import os
import tomllib
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = PROJECT["name"]
author = copyright = "the fastsoftmax developers"
version = release = PROJECT["version"]

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
templates_path = ["_templates"]
exclude_patterns = ["_templates"]
nitpicky = True

# --- Markdown -------------------------------------------------------------------------------------

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3  # a code host makes the same
suppress_warnings = ["myst.header"]  # CHANGELOG.md is included below a title

# --- The API --------------------------------------------------------------------------------------

autosummary_generate = True
autodoc_typehints = "none"  # docstrings say more than types do
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False  # the template has them


def _is_left_out(app, what, name, value, skip, options):
    """Whether a member is scikit-learn's own, whose docstring is for its own site."""
    owner = getattr(value, "fget", value)
    module = getattr(owner, "__module__", None) or ""
    return skip or module.partition(".")[0] == "sklearn" or None


def setup(app):
    """Hook the members that are left out."""
    app.connect("autodoc-skip-member", _is_left_out)


# --- The gallery ----------------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "filename_pattern": "/",  # all of them are run
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("fastsoftmax",),
    "reference_url": {"fastsoftmax": None},
    "abort_on_example_error": True,
    "show_memory": False,
    "capture_repr": (),  # what is printed is enough
    "write_computation_times": False,
    "min_reported_time": 1,
    "remove_config_comments": True,
    "show_signature": False,
    "default_thumb_file": str(ROOT / "docs" / "shapes.png"),
}

# --- The look -------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "fastsoftmax"
html_static_path = ["_static"]
html_favicon = "_static/icon.svg"
html_context = {"default_mode": "auto"}
html_css_files = ["site.css"]
html_search_scorer = str(Path(__file__).with_name("scorer.js"))
html_copy_source = html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
html_sidebars = {
    name: [] for name in ("index", "install", "quick-start", "benchmarks", "changelog")
}
