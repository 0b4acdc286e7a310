"""Any optax optimizer in a user's own loop, its parameters kept to a mask."""

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax

from jaxrobust.errors import InputError
from jaxrobust.pruning.masks import Masks, check_masks, full
from jaxrobust.trees import Parameters


class MaskedState(NamedTuple):
    """The state of a masked optimizer: arrays only, so that a checkpoint has the masks in it.

    Attributes:
        masks: What is kept, arrays of booleans of the parameters' shapes.
        inner: The state of the optimizer inside.
    """

    masks: Masks
    inner: Any


def masked(
    inner: optax.GradientTransformation, masks: Masks | None = None
) -> optax.GradientTransformationExtraArgs:
    """Wrap an optimizer so that pruned weights are zero after every step.

    Pruned weights get no gradient, and their update is minus their value: ``optax.apply_updates`` leads them
    to exactly zero at the first step, and nothing else needs to be called. Masks are part of the state, as
    arrays: ``with_masks`` exchanges them between steps, which recompiles nothing, and whatever saves and
    restores the optimizer's state saves and restores them. Momentum of pruned weights has no effect.

    (``optax.masked`` is another thing: it chooses whole tensors to which an optimizer applies.)

    Args:
        inner: Any optimizer; what is global in it, such as clipping by the norm, sees no pruned weights.
        masks: What is kept; None for everything.

    Raises:
        InputError: The masks are no tree like the parameters, or ``update`` gets no parameters.

    Example:
        >>> theta = {"w": jnp.array([1.0, 2.0])}
        >>> optimizer = masked(optax.sgd(0.5), {"w": jnp.array([True, False])})
        >>> state = optimizer.init(theta)
        >>> updates, state = optimizer.update({"w": jnp.ones(2)}, state, theta)
        >>> optax.apply_updates(theta, updates)["w"].tolist()
        [0.5, 0.0]
    """
    wrapped = optax.with_extra_args_support(inner)

    def init(params: Parameters) -> MaskedState:
        chosen = full(params) if masks is None else jax.tree.map(lambda m: jnp.asarray(m, bool), masks)
        check_masks(params, chosen)
        return MaskedState(chosen, wrapped.init(params))

    def update(
        updates: Parameters, state: MaskedState, params: Parameters | None = None, **extra: Any
    ) -> tuple[Parameters, MaskedState]:
        if params is None:
            raise InputError("A masked optimizer needs the parameters: update(gradient, state, parameters).")
        kept = jax.tree.map(lambda m, g: jnp.where(m, g, jnp.zeros_like(g)), state.masks, updates)
        steps, new = wrapped.update(kept, state.inner, params, **extra)
        steps = jax.tree.map(lambda m, u, p: jnp.where(m, u, -p).astype(u.dtype), state.masks, steps, params)
        return steps, MaskedState(state.masks, new)

    return optax.GradientTransformationExtraArgs(cast(Any, init), cast(Any, update))


def masks_of(state: Any) -> Masks:
    """Return the masks in an optimizer's state, wherever in a chain the masked optimizer stands.

    Raises:
        InputError: There is no masked optimizer in it, or more than one.
    """
    leaves = jax.tree.leaves(state, is_leaf=_is_masked)
    found = [leaf for leaf in leaves if _is_masked(leaf)]
    if len(found) != 1:
        raise InputError(f"The state holds {len(found)} masked optimizers; give that of masked(...) itself.")
    return found[0].masks


def with_masks(state: Any, masks: Masks) -> Any:
    """Return the state with other masks, for the steps to come.

    Raises:
        InputError: The masks do not have the structure and shapes of those in the state.
    """
    check_masks(masks_of(state), masks)

    def exchanged(leaf: Any) -> Any:
        new = jax.tree.map(lambda m: jnp.asarray(m, bool), masks)
        return leaf._replace(masks=new) if _is_masked(leaf) else leaf

    return jax.tree.map(exchanged, state, is_leaf=_is_masked)


def _is_masked(node: Any) -> bool:
    return isinstance(node, MaskedState)
