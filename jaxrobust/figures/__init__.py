"""Figures and tables: style, captions, one composer, kinds of panels, and the figures of each study."""

from jaxrobust.errors import naming_extras

with naming_extras():
    import matplotlib as _matplotlib  # noqa: F401 - every figure needs it; without it, say which extra
