"""Strategies: what the kept weights of a pruned network start from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import jax

from jaxrobust.errors import InputError
from jaxrobust.networks.network import Network, Variables
from jaxrobust.studies.training_points import KEEP_OPTIMIZER, load_optimizer, load_variables
from jaxrobust.training.optimizers import Memory

# Whether the optimizer begins a round from rest, as published, or with the state of the step it starts from.
OptimizerState = Literal["fresh", "kept"]


class Strategy(Protocol):
    """Where a round of training starts; pruned weights are set to zero afterwards.

    A frozen dataclass; its values are part of the round's key.
    """

    def check(self, dense: Mapping[str, Any]) -> None:
        """Raise ``InputError`` if the dense training, planned or finished, does not provide the start."""
        ...

    def start(self, point: Mapping[str, Any], network: Network) -> Variables:
        """Return the start of a round whose parents, ``dense`` and ``previous``, are finished."""
        ...

    def start_optimizer(self, point: Mapping[str, Any], network: Network) -> Memory | None:
        """Return the optimizer's state at the start; None for rest."""
        ...


@dataclass(frozen=True)
class Rewind:
    """The weights of the dense training after a step: the lottery ticket's initialization for step 0.

    Attributes:
        step: One of the dense training's ``keep_steps``.
        optimizer: ``"kept"`` for the optimizer's state of that step too; ``"fresh"`` for rest.
    """

    step: int = 0
    optimizer: OptimizerState = "fresh"

    def __post_init__(self):
        _check_optimizer(self.optimizer)

    def check(self, dense: Mapping[str, Any]) -> None:
        """Raise ``InputError`` if the dense training does not keep the step."""
        kept = tuple(dense["keep_steps"])
        if self.step not in kept:
            raise InputError(
                f"A round cannot be rewound to step {self.step}: the dense training keeps the steps "
                f"{', '.join(map(str, kept)) or 'none'}; name it in keep_steps, at most the last step."
            )
        _check_kept(self.optimizer, dense)

    def start(self, point: Mapping[str, Any], network: Network) -> Variables:
        """Return the kept step."""
        return load_variables(point["dense"], network, self.step)

    def start_optimizer(self, point: Mapping[str, Any], network: Network) -> Memory | None:
        """Return the state of the kept step, or None."""
        return _state(self.optimizer, point["dense"], network, self.step)


@dataclass(frozen=True)
class RewindToEnd:
    """The weights at the *end* of the dense training: "original" in the published code, by a defect.

    The paper says that tickets are reset to their original initialization; the released code resets them to
    the weights after round 0, so its "original" tickets have had a dense training before each of theirs.

    Attributes:
        optimizer: ``"kept"`` for the optimizer's state at that end too; ``"fresh"`` for rest, as published.
    """

    optimizer: OptimizerState = "fresh"

    def __post_init__(self):
        _check_optimizer(self.optimizer)

    def check(self, dense: Mapping[str, Any]) -> None:
        """Every dense training has an end; raise ``InputError`` if its optimizer's state is not kept."""
        _check_kept(self.optimizer, dense)

    def start(self, point: Mapping[str, Any], network: Network) -> Variables:
        """Return what the dense training ended with."""
        return load_variables(point["dense"], network)

    def start_optimizer(self, point: Mapping[str, Any], network: Network) -> Memory | None:
        """Return the state at that end, or None."""
        return _state(self.optimizer, point["dense"], network)


@dataclass(frozen=True)
class Reinitialize:
    """Fresh random weights, others in every round: the control of the lottery ticket hypothesis.

    Attributes:
        seed: Of the draws; None for the training's.
    """

    seed: int | None = None

    def check(self, dense: Mapping[str, Any]) -> None:
        """A fresh start needs nothing."""

    def start(self, point: Mapping[str, Any], network: Network) -> Variables:
        """Draw fresh parameters from the seed and the number of the round."""
        seed = point["seed"] if self.seed is None else self.seed
        # Folded twice: the dense training's start is drawn from the seed itself.
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), 1), point["round"])
        return network.init(key)

    def start_optimizer(self, point: Mapping[str, Any], network: Network) -> Memory | None:
        """Return None: a fresh start has no state."""


@dataclass(frozen=True)
class Continue:
    """The weights at the end of the previous round.

    Attributes:
        optimizer: ``"kept"`` for the optimizer's state at that end too; ``"fresh"`` for rest, as published.
    """

    optimizer: OptimizerState = "fresh"

    def __post_init__(self):
        _check_optimizer(self.optimizer)

    def check(self, dense: Mapping[str, Any]) -> None:
        """Every round has a previous one; raise ``InputError`` if its optimizer's state is not kept."""
        _check_kept(self.optimizer, dense)

    def start(self, point: Mapping[str, Any], network: Network) -> Variables:
        """Return what the previous round ended with."""
        return load_variables(point["previous"], network)

    def start_optimizer(self, point: Mapping[str, Any], network: Network) -> Memory | None:
        """Return the state at that end, or None."""
        return _state(self.optimizer, point["previous"], network)


def _check_optimizer(word: str) -> None:
    if word not in get_args(OptimizerState):
        raise InputError(f"optimizer of a strategy is one of fresh, kept, not {word!r}.")


def _check_kept(word: str, dense: Mapping[str, Any]) -> None:
    if word == "kept" and not dense.get(KEEP_OPTIMIZER, False):
        raise InputError(
            "A round cannot go on with the optimizer's state: the dense training keeps none; train it with "
            "keep_optimizer=True."
        )


def _state(
    word: OptimizerState, earlier: Mapping[str, Any], network: Network, step: int | None = None
) -> Memory | None:
    return load_optimizer(earlier, network, earlier["optimizer"], step) if word == "kept" else None
