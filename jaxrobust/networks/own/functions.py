"""Two plain functions as a network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jax import Array
from jaxtyping import Shaped

from jaxrobust.networks.network import Outputs, PlainKernels, Shape, Variables
from jaxrobust.networks.own.arguments import Settings, call, offered, shown
from jaxrobust.networks.tapping import run_with_taps
from jaxrobust.networks.taps import NO_TAPS, Statistics, Tap, Taps
from jaxrobust.trees import Parameters


@dataclass(frozen=True, repr=False)
class FunctionNetwork(PlainKernels):
    """``init`` and ``apply``, pure functions, as a ``Network``.

    Attributes:
        init_function: ``(key)`` and any of ``shape``, ``n_outputs`` and the settings by name; returns a tree
            of floating-point arrays.
        apply_function: ``(parameters, inputs)`` and any of ``key``, ``training`` and the settings by name;
            returns logits.
        shape: Of one sample.
        n_outputs: Classes, or targets of a regression.
        settings: Names and values.
    """

    init_function: Callable[..., Parameters]
    apply_function: Callable[..., Array]
    shape: tuple[int, ...]
    n_outputs: int
    settings: Settings = ()

    def __repr__(self) -> str:
        """The same in every process, as programs are compared by it."""
        functions = f"{shown(self.init_function)}, {shown(self.apply_function)}"
        return f"FunctionNetwork({functions}, {self.shape}, {self.n_outputs}, {self.settings})"

    @property
    def positions(self) -> Mapping[str, Shape]:
        """The inputs and the logits."""
        return {"input": self.shape, "logits": (self.n_outputs,)}

    def init(self, key: Array) -> Variables:
        """Draw parameters."""
        return Variables(
            call(self.init_function, key, **offered(self.shape, self.n_outputs, self.settings)), {}
        )

    def forward(
        self,
        parameters: Parameters,
        statistics: Statistics,
        inputs: Shaped[Array, "batch ..."],
        *,
        key: Array | None = None,
        training: bool = False,
        tap: Taps = NO_TAPS,
    ) -> Outputs:
        """Apply the function."""

        def compute(tap: Tap) -> tuple[Array, Statistics]:
            offers: dict[str, Any] = {"key": key, "training": training, **dict(self.settings)}
            return tap(
                "logits", call(self.apply_function, parameters, tap("input", inputs), **offers)
            ), statistics

        return run_with_taps(self, compute, tap, key=key, training=training)
