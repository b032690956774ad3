"""Reports: what a search found, as one HTML file and as figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write_report(
    study: str | Path, output: str | Path | None = None, *, figures: str | Path | None = None, **settings: Any
) -> list[Path]:
    """Write one HTML file with all that a study knows: nothing is measured or trained.

    Args:
        study: its directory.
        output: the file; ``report.html`` in the study by default.
        figures: directory for the figures of the paper, if they are wanted.
        **settings: other limits or another goal than those of the search (:func:`shape_dnn.ask`).

    Returns:
        The files that were written.

    Raises:
        UsageError: there is no study, a setting cannot be used, or a file cannot be written.
    """
    from shape_dnn.answers.question import StudyQuestion
    from shape_dnn.report import figures as figures_
    from shape_dnn.report import page
    from shape_dnn.report.overview import Overview, study_path

    with StudyQuestion.open(study, settings, as_searched=True) as known:
        overview = Overview.of_study(known)
        path = study_path(Path(study)) if output is None else Path(output)
        page.write(overview, path)
        return [path, *([] if figures is None else figures_.write(overview, known, Path(figures)))]
