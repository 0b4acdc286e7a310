"""Everything that is drawn and written of one stitching experiment."""

from pathlib import Path

from jaxrobust.figures.html_page import Picture, write_page
from jaxrobust.figures.series import Points
from jaxrobust.figures.stitching.kernels import draw_kernels
from jaxrobust.figures.stitching.profiles import (
    MEASURES,
    Measures,
    draw_profiles,
    profile_caption,
    profile_numbers,
)
from jaxrobust.figures.tables import Numbers, write_csv


def write_report(
    points: Points,
    folder: Path,
    name: str,
    measures: Measures = MEASURES,
    further: Numbers = Numbers((), (), ""),  # noqa: B008 - a tuple
) -> list[Path]:
    """Draw the depth profiles and the stitching matrices; write tables and an HTML page of both.

    Args:
        points: Evaluated donors and stitches.
        folder: Where to.
        name: Of the files.
        measures: What is drawn over depth.
        further: Tables besides those of the profiles; their numbers are in a CSV file of their own, which has
            ``_further`` behind its name.

    Returns:
        The files written, the picture of the profiles first.

    Raises:
        InputError: There are no stitches among the points.
    """
    numbers = profile_numbers(points)
    both = Numbers(
        [*numbers.tables, *further.tables], numbers.records, f"{numbers.explanation} {further.explanation}"
    )
    profiles = draw_profiles(points, folder, name, measures, both)
    kernels, caption = draw_kernels(points, folder, name)
    pictures = [Picture(profiles[0], profile_caption(points, measures)), Picture(kernels[0], caption)]
    page = write_page(folder, name, name.replace("_", " "), pictures, both)
    rest = [write_csv(folder / f"{name}_further.csv", further.records)] if further.records else []
    return [*profiles, *kernels, page, *rest]
