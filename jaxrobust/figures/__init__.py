"""Figures and tables: style, captions, one composer, kinds of panels, and the figures of each study."""
