"""Messages over a pipe: eight bytes of length, then the pickle."""

from __future__ import annotations

import pickle
from typing import Any, BinaryIO

STOPPED = 143  # exit status of a worker that was asked to stop and had no checkpoint to write


def send(pipe: BinaryIO, message: Any) -> None:
    """Write one message."""
    data = pickle.dumps(message)
    pipe.write(len(data).to_bytes(8, "big") + data)
    pipe.flush()


def receive(pipe: BinaryIO) -> Any:
    """Read one message; EOFError if the other side is gone."""
    return pickle.loads(_exactly(pipe, int.from_bytes(_exactly(pipe, 8), "big")))


def _exactly(pipe: BinaryIO, size: int) -> bytes | bytearray:
    data = bytearray()
    while len(data) < size:
        more = pipe.read(size - len(data))
        if not more:
            raise EOFError("the other side of the pipe is gone")
        data += more
    return data
