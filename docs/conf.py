"""Configures Sphinx; `make docs` builds the site."""

project = "tap-looker-tasks"
author = "The authors of tap-looker-tasks"
extensions = ["myst_parser"]
exclude_patterns = ["_build"]

myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]

html_theme = "furo"
html_title = "tap-looker-tasks"
html_favicon = "logo.svg"
html_show_copyright = False
html_show_sphinx = False
html_show_sourcelink = False
# The pages are also read without a network.
html_theme_options = {"navigation_with_keys": True}
nitpicky = True
