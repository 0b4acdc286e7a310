"""Files as settings: a result depends on what is in a file, not on where it lies."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from datajuicer.errors import UsageError
from datajuicer.store.reading import cannot_read, file_digest, retry

_SETTLED = 2.0  # seconds after which a change of a file shows in its time stamp


@dataclass(frozen=True)
class File:
    """A file as a setting or an argument; it is keyed by its content.

    It can be opened like a path: `open(file)`, `np.load(file)`.

    Args:
        path: where the file lies; a relative path is made absolute here and now.

    Example:
        >>> import tempfile, pathlib
        >>> a, b = (pathlib.Path(tempfile.mkdtemp()) / name for name in "ab")
        >>> _ = a.write_text("1"), b.write_text("1")
        >>> File(a).sha256() == File(b).sha256()
        True
    """

    path: Path

    def __init__(self, path: str | os.PathLike[str]):
        object.__setattr__(self, "path", Path(path).expanduser().absolute())

    def __fspath__(self) -> str:
        return str(self.path)

    def sha256(self) -> str:
        """The digest of its content as it is now.

        Raises:
            UsageError: there is no such file, or it cannot be read.
        """
        try:
            info = retry(lambda: os.stat(self.path))
            stamp = (str(self.path), info.st_size, info.st_mtime_ns, info.st_ino)
            is_settled = time.time() - info.st_mtime > _SETTLED
            return retry(lambda: _digest(*stamp) if is_settled else file_digest(self.path))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise UsageError(f"there is no file {self.path}, on which a result depends") from error
        except OSError as error:
            raise cannot_read(self.path, error) from error

    def __datajuicer_key__(self) -> tuple[str, str]:
        """As a dependency a file is its content."""
        return ("file", self.sha256())


@lru_cache(maxsize=256)
def _digest(path: str, size: int, changed: int, number: int) -> str:
    """The digest of a file; size, time of its last change and number say which file it is."""
    return file_digest(Path(path))
