"""The site: `python -m sphinx -W --keep-going docs build/site` builds it (see CONTRIBUTING.md)."""

import pathlib
import re
import sys

from pygments.lexers import PythonLexer

DOCS = pathlib.Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

import mlkit  # noqa: E402
from docs.builder import docstrings, gathered, reference, signatures  # noqa: E402

project, author, copyright = "mlkit", "the authors of mlkit", "the authors of mlkit, Apache-2.0"
version = release = mlkit.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx_copybutton"]
exclude_patterns = ["builder"]
suppress_warnings = ["myst.xref_ambiguous"]

html_theme = "furo"
html_title = f"mlkit {version}"
html_static_path = []
html_show_sourcelink = False
html_copy_source = False
html_use_index = False  # the reference has a list of its own, and that page would weigh 280 KB
pygments_style, pygments_dark_style = "friendly", "monokai"

myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]
nb_execution_mode = "off"  # tests run the notebooks; the site shows what they gave
copybutton_prompt_text, copybutton_prompt_is_regexp = r">>> |\.\.\. |\$ ", True

autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_rtype = False


def _docstring(app, what, name, value, options, lines):
    if what in ("class", "function"):
        lines[:] = docstrings.completed(value, name.removeprefix("mlkit."), lines)
    lines[:] = docstrings.as_restructured(lines)


def _signature(app, what, name, value, options, text, returned):
    return signatures.shown(value) if what in ("class", "function", "method") else None


def _source(app, name, source):
    source[0] = gathered.links(source[0])


def _page(app, page, template, context, doctree):
    if not page.startswith("notebooks/"):  # 43 KB that are of use to cells alone
        context["css_files"] = [file for file in context["css_files"] if "mystnb" not in str(file.filename)]
    if page.startswith("_modules/"):  # links back lead to where a module lies, not to where its names are described
        context["body"] = re.sub(r'<a class="viewcode-back".*?</a>', "", context["body"])


def setup(app):
    reference.write(DOCS / "reference")
    gathered.write(DOCS)
    for block in ("script", "raises"):  # Python that tests run in other ways
        app.add_lexer(block, PythonLexer)
    app.connect("autodoc-process-docstring", _docstring, priority=400)  # before napoleon, at 500
    app.connect("autodoc-process-signature", _signature)
    app.connect("html-page-context", _page)
    app.connect("source-read", _source)
