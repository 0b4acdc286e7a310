"""Typed words of the first study: every setting is a flat word, such as ``-beta_robustness=0.25``."""

from collections.abc import Mapping
from typing import Any

import datajuicer as dj
from jaxrobust import data
from jaxrobust.settings import as_text, check_names, from_text
from jaxrobust.studies.parameter_noise.catalogue import family_of


def configured(grid: list[dict[str, Any]], settings: Mapping[str, str]) -> list[dict[str, Any]]:
    """Give every grid point the typed settings that its network family has.

    Raises:
        InputError: No family of the grid has such a setting, or its value is of the wrong type.
    """
    if "dataset" in settings:
        settings = {**settings, "dataset": data.identify(settings["dataset"])}
    used = {point["architecture"]: family_of(point) for point in grid}
    known = {key for family in used.values() for key in family.settings} | {"data_folder"}
    check_names(settings, known, of=" or ".join(sorted(used)))
    result = []
    for point in grid:
        its_settings = family_of(point).settings
        values = {
            key: text if key == "data_folder" else from_text(key, text, its_settings[key].default)
            for key, text in settings.items()
            if key in its_settings or key == "data_folder"
        }
        result.append({**point, **values})
    for point in result:
        family_of(point).check(point)
    return dj.make_unique(result)


def described(point: Mapping[str, Any]) -> str:
    """A grid point as the words that train it alone: ``-arch=`` and what differs from the defaults."""
    family = family_of(point)
    changed = [
        f"-{name}={as_text(point[name])}"
        for name, setting in family.settings.items()
        if point[name] != setting.default
    ]
    return " ".join([f"-arch={family.name}", *changed])
