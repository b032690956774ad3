"""Ray beside amdsmi, which comes with zeus, and which without the driver of AMD fails otherwise than Ray expects."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from pathlib import Path

ABSENT = Path(__file__).parent / "absent"
"""Found before the packages that are installed, it has Python say that amdsmi is not there."""


def keep_out() -> None:
    """Have ``import amdsmi`` be an ImportError where it would be another error, also in processes started from here.

    Ray imports it wherever it starts, and then does without it.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # on which it says that the driver is missing
            importlib.import_module("amdsmi")
    except ImportError:
        pass
    except Exception:  # noqa: BLE001 - a KeyError at present
        sys.modules["amdsmi"] = None  # type: ignore[assignment]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ABSENT), os.environ.get("PYTHONPATH")]))
