"""Kinds of panels: each module draws plain numbers on given axes and knows no experiment."""
