"""The one error that the user can fix."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

# Packages that only an extra installs.
EXTRAS = {
    **dict.fromkeys(
        (
            "PIL",
            "array_record",
            "pandas",
            "python_speech_features",
            "scipy",
            "sklearn",
            "soundfile",
            "tensorflow_datasets",
            "threadpoolctl",
            "wfdb",
        ),
        "data",
    ),
    "matplotlib": "figures",
}


class InputError(ValueError):
    """Bad input: the message is one sentence that says what was wrong, where, and what to do.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> try:
        ...     jr.ParameterAttack(relative_size=-1.0)
        ... except jr.InputError as error:
        ...     print(error)
        relative_size of ParameterAttack must be a finite number of at least 0, not -1.0.
    """

    # The experiment engine does not record it as a result: the same call may work once the input is mended.
    transient = True


class MissingExtra(InputError, ImportError):
    """A package that only an extra installs is not there."""


def unused_gpu(device: Path = Path("/dev/nvidiactl")) -> str:
    """A sentence if this machine has an NVIDIA GPU that JAX cannot use for lack of an extra, else nothing."""
    plugins = ("jax_cuda12_plugin", "jax_cuda13_plugin")
    if not device.exists() or any(find_spec(plugin) for plugin in plugins):
        return ""
    return (
        "This machine has an NVIDIA GPU, but JAX computes on the CPU: pip install 'jaxrobust[cuda]' installs "
        "what it needs."
    )


@contextmanager
def naming_extras() -> Iterator[None]:
    """Name the extra that installs a missing package, in one sentence.

    Raises:
        MissingExtra: A package of an extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        raise MissingExtra(
            f"{package} is not installed: pip install 'jaxrobust[{EXTRAS[package]}]' installs it."
        ) from error
