"""Files of a result: complete, and under names that no other result uses, before the record names them."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import Any

from datajuicer.store.disk import (
    cannot_write,
    is_full,
    make_folder,
    sync_file,
    sync_folder,
    unique,
    write_file,
)
from datajuicer.store.reading import bytes_digest, file_digest
from datajuicer.store.record import Record


def write_arrays(root: Path, folder: Path, data: bytes) -> tuple[str, str, int]:
    """Write arrays under a name that holds their digest, so that no other result's file is ever overwritten.

    Returns:
        File name, SHA-256 and size.
    """
    sha256 = bytes_digest(data)
    name = f"value-{sha256[:16]}.safetensors"
    path = folder / name
    temporary = path.with_name(f"{name}.{unique()}.tmp")
    try:
        write_file(temporary, data, root)
        os.replace(temporary, path)
        sync_folder(folder)
    except OSError as error:
        raise cannot_write(path, len(data), error) from error
    finally:
        temporary.unlink(missing_ok=True)
    return name, sha256, len(data)


def write_files(root: Path, folder: Path, saver: Any, value: Any) -> Record:
    """Let a saver write a value's files into a fresh folder.

    Returns:
        The "value" of the record, which lists the files with their digests and sizes.

    Raises:
        StoreFull: there is no room. What else the saver raises passes through.
    """
    name = f"value-{uuid.uuid4().hex[:16]}"
    target = folder / name
    temporary = target.with_name(f"{name}.{unique()}.tmp")
    try:
        make_folder(temporary, root)
        saver(temporary, value)
        files = {}
        for path in sorted(p for p in temporary.rglob("*") if p.is_file()):
            sync_file(path)
            files[path.relative_to(temporary).as_posix()] = [file_digest(path), path.stat().st_size]
        for inner in (*(p for p in temporary.rglob("*") if p.is_dir()), temporary):
            sync_folder(inner)
        os.rename(temporary, target)
        sync_folder(folder)
    except OSError as error:
        if is_full(error):
            raise cannot_write(target, None, error) from error
        raise  # a fault of the saver, which is no reason to give up the other points
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return {"$files": {"folder": name, "files": files}}
