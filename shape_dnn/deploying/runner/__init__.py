"""What runs on a target: the standard library, numpy and a runtime alone, with Python 3.9 and later.

Nothing of it needs to be installed there. It goes as one text (:func:`program`) to an interpreter that
:data:`COMMAND` starts, and from then on both sides speak lines of JSON over standard input and output
(:mod:`shape_dnn.deploying.runner.pipe`).
"""

from __future__ import annotations

import json
from pathlib import Path

COMMAND = (
    'import sys; text = getattr(sys.stdin, "buffer", sys.stdin).read({size}); exec(compile(text, "runner", "exec"))'
)
"""What the interpreter runs. No shell reads anything into it, if it stands in single quotes."""
GREETING = '{"shape-dnn runner": '
"""How the first line of a runner begins. Whatever comes before is a login shell's."""
MODULES = ("pipe", "machine", "cache", "models", "main")
"""In the order in which they import each other."""


def program() -> bytes:
    """Return the text of the runner, which any Python can compile, if only to say that it is too old."""
    here = Path(__file__).parent
    sources = {name: (here / f"{name}.py").read_text(encoding="utf-8") for name in MODULES}
    return _BOOTSTRAP.format(greeting=GREETING, sources=json.dumps(json.dumps(sources))).encode("ascii")


_BOOTSTRAP = """\
import sys
sys.path[:] = [entry for entry in sys.path if entry]
if sys.version_info < (3, 9):
    sys.stdout.write('\\n{greeting}{{"old": "%d.%d"}}}}\\n' % sys.version_info[:2])
    sys.exit(0)
import json, types
package = types.ModuleType("shape_dnn_runner")
package.__path__ = []
sys.modules["shape_dnn_runner"] = package
for name, source in json.loads({sources}).items():
    module = types.ModuleType("shape_dnn_runner." + name)
    module.__package__ = "shape_dnn_runner"
    sys.modules[module.__name__] = module
    setattr(package, name, module)
    exec(compile(source, name + ".py", "exec"), module.__dict__)
package.main.main('{greeting}', globals().get("text", b""))
"""
