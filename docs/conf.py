"""The documentation site: ``python -m sphinx -W -n -c docs . build/site``.

Its source folder is the repository, so that README and docs/ link each other as they do anywhere; a
link to a page, a heading or a file that is not there ends the build.
"""

project = "asd"
author = copyright = "The asd authors"
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md"]
exclude_patterns = []
myst_heading_anchors = 3
html_theme = "alabaster"
html_theme_options = {
    "description": "Experiment-tracked sweeps for anomalous sound detection",
    "page_width": "1100px",
    "show_powered_by": False,
}
html_copy_source = False
