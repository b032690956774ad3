"""``python -m shape_dnn_ray start …`` is ``ray start …`` for environments that have zeus, too."""

from __future__ import annotations

from shape_dnn_ray import amd

if __name__ == "__main__":
    amd.keep_out()

    from ray.scripts import scripts

    scripts.main()
