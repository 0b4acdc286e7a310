"""The Square attack (Andriushchenko et al. 2020): random search without gradients, on images.

A black-box check beside PGD: it cannot be misled by masked gradients. Every query changes one square of each
image and keeps the change if the margin falls; squares shrink over time. In the L2 ball a second square pays
for the change with its own share of the budget.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from jaxrobust.attacks.input_attack import AttackedInputs, InputAttack, Inputs, Norm
from jaxrobust.attacks.logit_losses import margin
from jaxrobust.errors import InputError
from jaxrobust.numerics import divide, root
from jaxrobust.trees import Number, check_numbers, settings_tree, static

# Shares of all queries after which the squares' share of the image is halved.
HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


@settings_tree
@dataclass(frozen=True)
class SquareAttack:
    """Settings of a random search for wrong answers.

    Attributes:
        size: Radius of the ball.
        n_queries: Forward passes per image.
        bounds: Range of the pixels.
        norm: ``"2"`` or ``"inf"``.
        share: Share of the image that the first squares cover.
    """

    size: Number
    n_queries: int = static(default=1000)
    bounds: tuple[Number, Number] | None = (0.0, 1.0)
    norm: Norm = static(default="2")
    share: Number = 0.1

    def __post_init__(self):
        check_numbers(self, "size")
        check_numbers(self, "share", minimum=1e-6, maximum=1)
        if self.n_queries < 1:
            raise InputError(f"n_queries of SquareAttack is at least 1, not {self.n_queries}.")
        if self.norm not in get_args(Norm):
            raise InputError(
                f"norm of SquareAttack is one of {', '.join(get_args(Norm))}, not {self.norm!r}."
            )

    def side(self, query: Array, image: tuple[int, ...]) -> Int[Array, ""]:
        """Width of the squares at a query, in pixels."""
        n_halvings = jnp.sum(query >= jnp.asarray(HALVINGS) * self.n_queries)
        area = self.share * 0.5**n_halvings * image[0] * image[1]
        return jnp.clip(jnp.round(jnp.sqrt(area)), 1, min(image[:2])).astype(jnp.int32)


class _Search(NamedTuple):
    inputs: Inputs
    margins: Float[Array, " batch"]


def attack_by_squares(
    apply: Callable[[Inputs], Float[Array, "batch classes"]],
    inputs: Float[Array, "batch height width channels"],
    labels: Int[Array, " batch"],
    key: Array,
    settings: SquareAttack,
) -> AttackedInputs:
    """Search the ball around every image for one with a wrong answer.

    Args:
        apply: ``apply(inputs) -> logits``; only its values are used.
        inputs: The clean images, inside the bounds.
        labels: Their classes.
        key: PRNG key of the search.
        settings: The attack.

    Returns:
        As of ``attack_inputs``; ``losses`` are margins, and nothing has a gradient.

    Raises:
        InputError: The inputs are no images.

    Example:
        >>> x = jnp.full((2, 4, 4, 1), 0.5)
        >>> net = lambda x: jnp.stack([jnp.zeros(2), x.sum((1, 2, 3)) - 8.1], -1)
        >>> attack_by_squares(net, x, jnp.array([0, 0]), jax.random.key(0), SquareAttack(0.5, 200)).fooled
        Array([ True,  True], dtype=bool)
    """
    if inputs.ndim != 4:
        raise InputError(
            f"The Square attack changes images (batch, height, width, channels), not {inputs.shape}."
        )
    clean = jax.lax.stop_gradient(inputs)
    ball = InputAttack(settings.size, 1, settings.bounds, norm=settings.norm)
    nominal = apply(clean)

    def margins_of(x: Inputs) -> Array:
        logits = apply(x)
        return jnp.where(jnp.all(logits < jnp.inf, axis=-1), margin(logits, labels, nominal), -jnp.inf)

    def keep_better(search: _Search, x: Inputs) -> _Search:
        x = ball.project(x, clean)
        new = margins_of(x)
        # Who is fooled already stays where that happened, as the published attack does.
        is_better = (new > search.margins) & (search.margins <= 0)
        return _Search(
            jnp.where(is_better[:, None, None, None], x, search.inputs),
            jnp.where(is_better, new, search.margins),
        )

    def query(index: Array, search: _Search) -> _Search:
        change = search.inputs - clean
        side = settings.side(index, clean.shape[1:3])
        new = _change(jax.random.fold_in(key, index + 1), change, side, settings)
        return keep_better(search, clean + new)

    start_margins = margins_of(clean)
    signs = jax.random.rademacher(jax.random.fold_in(key, 0), clean.shape, clean.dtype)
    length = settings.size / (clean[0].size ** 0.5 if settings.norm == "2" else 1)
    search = keep_better(_Search(clean, start_margins), clean + length * signs)
    search = jax.lax.fori_loop(0, settings.n_queries, query, search)
    fooled = search.margins > 0
    moved = jnp.any((search.inputs != clean).reshape(len(clean), -1), axis=-1)
    return jax.lax.stop_gradient(
        AttackedInputs(
            inputs=search.inputs,
            losses=search.margins,
            nominal_losses=start_margins,
            fooled=fooled,
            found=fooled & (start_margins <= 0),
            moved=moved,
            has_gradient=jnp.zeros(len(clean), bool),
            is_finite=jnp.isfinite(search.margins),
        )
    )


def _change(key: Array, change: Inputs, side: Array, settings: SquareAttack) -> Inputs:
    """Propose another change of every image."""
    batch, height, width, channels = change.shape
    keys = jax.random.split(key, 3)
    there = _square(keys[0], (batch, height, width), side)
    signs = jax.random.rademacher(keys[1], (batch, 1, 1, channels), change.dtype)
    if settings.norm == "inf":
        return jnp.where(there[..., None] > 0, settings.size * signs, change)
    # L2: the square's pattern, a pyramid, plus what is there; its length is what two squares gave up and
    # what is left of the budget.
    elsewhere = _square(keys[2], (batch, height, width), side) > 0
    inside = there > 0
    axes = (1, 2)
    pyramid = divide(there, root(jnp.sum(there**2, axes, keepdims=True)))[..., None] * signs
    now = jnp.where(inside[..., None], change, 0)
    pattern = pyramid + divide(now, root(jnp.sum(now**2, axes, keepdims=True)))
    pattern = divide(pattern, root(jnp.sum(pattern**2, (1, 2, 3), keepdims=True)))
    rest = jnp.where((inside | elsewhere)[..., None], 0, change)
    budget = root(settings.size**2 - jnp.sum(rest**2, (1, 2, 3), keepdims=True))
    return rest + budget * pattern


def _square(key: Array, shape: tuple[int, int, int], side: Array) -> Float[Array, "batch height width"]:
    """Draw one square per image; positive inside, larger towards its middle."""
    batch, height, width = shape
    keys = jax.random.split(key)
    top = jax.random.randint(keys[0], (batch, 1, 1), 0, height - side + 1)
    left = jax.random.randint(keys[1], (batch, 1, 1), 0, width - side + 1)
    rows, columns = jnp.arange(height)[None, :, None] - top, jnp.arange(width)[None, None] - left
    depth = jnp.minimum(jnp.minimum(rows, side - 1 - rows), jnp.minimum(columns, side - 1 - columns)) + 1
    deepest = (side + 1) // 2
    return jnp.where(depth > 0, 1 / (deepest + 1 - jnp.clip(depth, 1, deepest)) ** 2, 0.0)
