"""Everything that is drawn and written of one stitching experiment."""

from pathlib import Path

from jaxrobust.figures.html_page import Picture, write_page
from jaxrobust.figures.series import Points
from jaxrobust.figures.stitching.kernels import draw_kernels
from jaxrobust.figures.stitching.profiles import draw_profiles, profile_caption, profile_numbers


def write_report(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw the depth profiles and the stitching matrices; write tables and an HTML page of both.

    Returns:
        The files written, the picture of the profiles first.

    Raises:
        InputError: There are no stitches among the points.
    """
    profiles = draw_profiles(points, folder, name)
    kernels, caption = draw_kernels(points, folder, name)
    pictures = [Picture(profiles[0], profile_caption(points)), Picture(kernels[0], caption)]
    page = write_page(folder, name, name.replace("_", " "), pictures, profile_numbers(points))
    return [*profiles, *kernels, page]
