"""Configuration of the documentation."""

import sys
from pathlib import Path

from docutils import nodes
from sphinx.transforms import SphinxTransform

from shape_dnn import __version__, bench, tune

sys.path.insert(0, str(Path(__file__).parent))
import rooms

project = "shape_dnn"
author = "The shape_dnn authors"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"shape_dnn {version}"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
napoleon_google_docstring = True
napoleon_use_ivar = True
nitpicky = False

TABLES = Path(__file__).parents[1] / "plugins" / "shape-dnn-tables" / "shape_dnn_tables"
GALLERY = {
    "wrn-digits": {"min_accuracy": "98%", "goal": "size"},
    "wrn-digits-thin": {"max_size": "0.1MB", "goal": "accuracy"},
    "wrn-fashion-mnist": {"min_accuracy": "85%", "goal": "size"},
}


def write_gallery(app, exception):
    """Write the reports that the gallery links to."""
    if exception is None and app.builder.name == "html":
        gallery = Path(app.outdir) / "gallery"
        for name, question in GALLERY.items():
            tune(replay=str(TABLES / f"{name}.csv"), report=str(gallery / f"{name}.html"), **question)
        tables = [TABLES / f"{name}.csv" for name in GALLERY]
        bench(tables, methods=["default", "paper"], questions=40, report=gallery / "bench.html")


class DarkPictures(SphinxTransform):
    """Shows on dark grounds the picture for these, where there is one."""

    default_priority = 200

    def apply(self):
        for image in list(self.document.findall(nodes.image)):
            light = Path(image["uri"])
            dark = light.with_stem(f"{light.stem}-dark")
            if (Path(self.document["source"]).parent / dark).is_file():
                other = image.deepcopy()
                other["uri"] = str(dark)
                image["classes"].append("only-light")
                other["classes"].append("only-dark")
                image.parent.insert(image.parent.index(image) + 1, other)


def setup(app):
    """Have the picture of the rooms drawn first, and the gallery written at the end."""
    app.add_transform(DarkPictures)
    (Path(app.srcdir) / "rooms.svg").write_text(rooms.draw(), encoding="utf-8")
    app.connect("build-finished", write_gallery)
