"""The store of a command: what it computes goes to `-sessions`, over what ships in `sessions/`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datajuicer as dj
from jaxrobust.errors import InputError

OWN = "my_sessions"  # what -sessions is if it is not typed
SHIPPED = Path("sessions")  # in the working directory; only read, unless -sessions=sessions names it


def store_of(options: Mapping[str, Any]) -> dj.Store:
    """Return the store that -sessions names, over the results that ship if they are here."""
    own = dj.Store(options["sessions"])
    has_shipped = SHIPPED.is_dir() and own.root.resolve() != SHIPPED.resolve()
    return dj.Store(own, below=[SHIPPED]) if has_shipped else own


def check_is_there(options: Mapping[str, Any]) -> None:
    """Raise an InputError if the folder of -sessions is not there; not so the default if results ship."""
    folder = options["sessions"]
    if dj.Store(folder).root.is_dir() or (folder == OWN and SHIPPED.is_dir()):
        return
    also = f" or {SHIPPED}" if folder == OWN else ""
    raise InputError(f"There is no folder {folder}{also} of results; -sessions=folder names another.")
