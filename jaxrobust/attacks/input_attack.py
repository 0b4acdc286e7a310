"""Attacks on inputs: FGSM, PGD and APGD inside an L-infinity or L2 ball and the bounds of an image.

Every sample has its own loss, step length, best point and flags. The same settings serve an evaluation
(``attack_inputs``: logits and labels in, attacked inputs and whether they fool the network out) and a
training method (``climb_inputs``: any loss).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple, Protocol, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from jaxrobust.attacks.ascent import (
    Ascended,
    Keep,
    Objective,
    Steps,
    Value,
    ascend,
    better_of,
    from_restarts,
    loss_alone,
)
from jaxrobust.attacks.logit_losses import logit_loss
from jaxrobust.criteria import check_label_form
from jaxrobust.errors import InputError
from jaxrobust.numerics import divide, norm, sign, unit
from jaxrobust.trees import Number, check_numbers, settings_tree, static

Norm = Literal["inf", "2"]
Start = Literal["uniform", "clean", "cube"]
Labels = Literal["true", "predicted"]
Inputs = Float[Array, "batch ..."]


class AttackOnInputs(Protocol):
    """Any attack that finds inputs with a larger loss: ``InputAttack``, or one of your own."""

    def __call__(
        self, loss: Callable[[Inputs], Float[Array, ""]], inputs: Inputs, key: Array
    ) -> Float[Array, "batch ..."]:
        """Inputs near ``inputs`` with a larger ``loss`` of the whole batch, constant in any gradient."""
        ...


_LOWEST = float(jnp.finfo(jnp.float32).min)


@settings_tree
@dataclass(frozen=True)
class InputAttack:
    """Gradient ascent on inputs inside a ball of radius ``size`` around them.

    ``fgsm``, ``pgd`` and ``apgd`` make the usual settings. Numbers are leaves: other sizes, steps and bounds
    recompile nothing.

    Attributes:
        size: Radius of the ball, in the unit of the inputs.
        n_steps: Number of steps, at least 1; fractions are cut off.
        bounds: Range to which inputs are clipped, (0, 1) for images; numbers or arrays that broadcast over a
            batch (one per channel of a normalized image). None for no bounds.
        step: Length of the (first) step; None for ``size / n_steps``.
        norm: ``"inf"`` for steps along the sign of the gradient, ``"2"`` along the gradient itself, each
            sample's normalized to length 1.
        start: ``"uniform"`` in the ball; ``"clean"`` at the inputs; ``"cube"``, uniform in [-size, size] per
            element, whatever the norm: the published start of Lipschitz networks, in part outside an L2 ball
            until the first step is projected.
        loss: ``"cross_entropy"``, ``"dlr"``, ``"margin"`` or ``"kl"`` (``logit_losses``).
        labels: Whether the loss takes the ``"true"`` labels or those ``"predicted"`` at the clean inputs.
        momentum: Weight of the last move in the next one, 0.25 in APGD; None for none.
        halving: Whether step lengths are halved at checkpoints, as in APGD.
        keep: ``"best"`` of everything seen, the clean inputs included, or the ``"last"`` point.
        n_restarts: Random starts; all are kept in one program. More than one needs ``keep="best"``.

    Raises:
        InputError: A number out of range, or a word that names no norm, start, loss, labels or rule of what
            is kept.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> jr.InputAttack(8 / 255, n_steps=10, bounds=(0.0, 1.0)).norm
        'inf'
    """

    size: Number
    n_steps: Number = 10
    bounds: tuple[Number, Number] | None = None
    step: Number | None = None
    norm: Norm = static(default="inf")
    start: Start = static(default="uniform")
    loss: str = static(default="cross_entropy")
    labels: Labels = static(default="true")
    momentum: Number | None = None
    halving: bool = static(default=False)
    keep: Keep = static(default="best")
    n_restarts: int = static(default=1)

    def __post_init__(self):
        check_numbers(self, "n_steps", minimum=1)
        check_numbers(self, "size", "step")
        check_numbers(self, "momentum", maximum=1)
        check_numbers(self, "bounds", minimum=_LOWEST)
        for name, values in (("norm", Norm), ("start", Start), ("labels", Labels), ("keep", Keep)):
            if getattr(self, name) not in get_args(values):
                raise InputError(
                    f"{name} of InputAttack must be one of {', '.join(get_args(values))}, "
                    f"not {getattr(self, name)!r}."
                )
        logit_loss(self.loss)
        if self.n_restarts < 1 or (self.n_restarts > 1 and self.keep == "last"):
            raise InputError(
                f"n_restarts of InputAttack is at least 1, and 1 with keep='last', not {self.n_restarts}."
            )

    def __call__(self, loss: Callable[[Inputs], Float[Array, ""]], inputs: Inputs, key: Array) -> Inputs:
        """Return inputs with a larger ``loss`` of the whole batch, as training methods ask for them.

        Without restarts this is the last point, which spares an evaluation; constant in any gradient.
        """
        settings = replace(self, keep="last") if self.n_restarts == 1 else self
        return climb_inputs(loss_alone(loss), inputs, key, settings).point

    def project(self, x: Inputs, clean: Inputs) -> Inputs:
        """Lead back into the ball around ``clean`` and into the bounds."""
        if self.norm == "inf":
            x = jnp.clip(x, clean - self.size, clean + self.size)
        else:
            shift = x - clean
            length = jax.vmap(norm)(shift)
            # Division by the larger of the two: points inside the ball do not move.
            factor = divide(self.size * jnp.ones_like(length), jnp.maximum(length, self.size))
            x = clean + shift * factor.reshape(-1, *[1] * (shift.ndim - 1))
        return self._within_bounds(x).astype(clean.dtype)

    def draw_start(self, key: Array, clean: Inputs) -> Inputs:
        """Draw where an attack begins, inside the bounds."""
        if self.start == "clean":
            return self._within_bounds(clean).astype(clean.dtype)
        if self.norm == "inf" or self.start == "cube":
            shift = jax.random.uniform(key, clean.shape, clean.dtype, -1, 1)
        else:
            key_direction, key_radius = jax.random.split(key)
            radius = jax.random.uniform(key_radius, clean.shape[:1], clean.dtype)
            radius = radius ** (1 / max(clean[0].size, 1))
            shift = jax.vmap(unit)(jax.random.normal(key_direction, clean.shape, clean.dtype))
            shift = shift * radius.reshape(-1, *[1] * (clean.ndim - 1))
        start = clean + self.size * shift
        if self.start == "cube" and self.norm == "2":
            return self._within_bounds(start).astype(clean.dtype)
        return self.project(start, clean)

    def _within_bounds(self, x: Inputs) -> Inputs:
        return x if self.bounds is None else jnp.clip(x, *self.bounds)

    def direction(self, gradient: Inputs) -> Inputs:
        """The direction of steepest ascent per sample; 0 without a gradient."""
        return sign(gradient) if self.norm == "inf" else jax.vmap(unit)(gradient)


def fgsm(size: Number, bounds: tuple[Number, Number] | None = (0.0, 1.0), **settings) -> InputAttack:
    """One step as long as the ball is wide, from the clean inputs (Goodfellow et al. 2015).

    Args:
        size: Radius of the ball, in the unit of the inputs.
        bounds: Range to which inputs are clipped; None for no bounds.
        **settings: Other settings of ``InputAttack``.

    Raises:
        InputError: As of ``InputAttack``.

    Example:
        >>> fgsm(0.3, labels="predicted").n_steps  # of the sparse tickets
        1
    """
    return InputAttack(size, 1, bounds, **{"step": size, "start": "clean", **settings})


def pgd(
    size: Number,
    n_steps: Number = 10,
    step: Number | None = None,
    bounds: tuple[Number, Number] | None = (0.0, 1.0),
    **settings,
) -> InputAttack:
    """Projected gradient ascent from a random start (Madry et al. 2018).

    Without a ``step`` it is ``2.5 size / n_steps``: from any start, any point of the ball is within reach.

    Args:
        size: Radius of the ball, in the unit of the inputs.
        n_steps: Number of steps.
        step: Length of a step, in the unit of the inputs.
        bounds: Range to which inputs are clipped; None for no bounds.
        **settings: Other settings of ``InputAttack``.

    Raises:
        InputError: As of ``InputAttack``.

    Example:
        >>> tickets = pgd(0.3, n_steps=10, step=0.05, labels="predicted", keep="last")
        >>> stitching = pgd(8 / 255, n_steps=10, step=2 / 255, start="clean", keep="last")
        >>> lipschitz = pgd(1.5, 200, 0.01, norm="2", loss="margin", start="cube")
        >>> lipschitz.norm
        '2'
    """
    return InputAttack(size, n_steps, bounds, 2.5 * size / n_steps if step is None else step, **settings)


def apgd(
    size: Number,
    n_steps: Number = 100,
    bounds: tuple[Number, Number] | None = (0.0, 1.0),
    **settings,
) -> InputAttack:
    """Ascent with momentum and step halving (Croce and Hein 2020); ``loss="dlr"`` for APGD-DLR.

    Args:
        size: Radius of the ball, in the unit of the inputs.
        n_steps: Number of steps.
        bounds: Range to which inputs are clipped; None for no bounds.
        **settings: Other settings of ``InputAttack``.

    Raises:
        InputError: As of ``InputAttack``.

    Example:
        >>> apgd(8 / 255, loss="dlr", n_restarts=5).halving
        True
    """
    how = {"step": 2 * size, "momentum": 0.25, "halving": True}
    return InputAttack(size, n_steps, bounds, **{**how, **settings})


def climb_inputs(objective: Objective, inputs: Inputs, key: Array, settings: InputAttack) -> Ascended:
    """Attack inputs on any loss.

    Args:
        objective: The value of a batch of inputs, per sample, or one number for the whole batch
            (``ascent.loss_alone(loss)``). With one number, best points and halving are the batch's.
        inputs: The clean inputs; held constant.
        key: PRNG key of the random starts.
        settings: The attack; its ``loss`` and ``labels`` are not used here.

    Returns:
        The attacked inputs as ``point``, constant in any gradient.
    """
    clean = jax.lax.stop_gradient(inputs)
    step = settings.size / settings.n_steps if settings.step is None else settings.step
    steps = Steps(settings.n_steps, step, settings.momentum, settings.halving, settings.keep)

    def run(restart_key: Array) -> Ascended:
        return ascend(
            objective,
            settings.draw_start(restart_key, clean),
            steps,
            direction=settings.direction,
            project=partial(settings.project, clean=clean),
        )

    return run(key) if settings.n_restarts == 1 else from_restarts(run, key, settings.n_restarts)


class AttackedInputs(NamedTuple):
    """What an attack on inputs finds.

    Attributes:
        inputs: The attacked inputs.
        losses: The attack's loss at them, and ``nominal_losses`` at the clean inputs; with ``keep="best"``
            never below.
        nominal_losses: See ``losses``.
        fooled: Whether the answer at ``inputs`` differs from the attack's label; logits that are NaN or +inf
            are no answer.
        found: Whether the attack changed a right answer into a wrong one.
        moved: Whether the inputs differ from the clean ones.
        has_gradient: Whether any gradient on the way was not zero. Samples without one only look robust.
        is_finite: Whether every loss on the way was finite.
    """

    inputs: Inputs
    losses: Float[Array, " batch"]
    nominal_losses: Float[Array, " batch"]
    fooled: Bool[Array, " batch"]
    found: Bool[Array, " batch"]
    moved: Bool[Array, " batch"]
    has_gradient: Bool[Array, " batch"]
    is_finite: Bool[Array, " batch"]


def attack_inputs(
    apply: Callable[[Inputs], Float[Array, "batch classes"]],
    inputs: Inputs,
    labels: Int[Array, " batch"],
    key: Array,
    settings: InputAttack | AttackOnInputs,
) -> AttackedInputs:
    """Search the ball around every input for one with a wrong answer, or the largest loss.

    Args:
        apply: ``apply(inputs) -> logits``, no sample of which depends on another; without dropout.
        inputs: The clean inputs, inside the bounds.
        labels: Their classes; with ``labels="predicted"`` the answers at the clean inputs take their place.
        key: PRNG key of the random starts.
        settings: The attack; or one of your own, which gets the mean cross-entropy of the batch.

    Raises:
        InputError: The labels are not one class per sample.

    Example:
        >>> x, y = jnp.array([[0.4], [0.9]]), jnp.array([0, 1])
        >>> net = lambda x: jnp.concatenate([0.5 - x, x - 0.5], -1)
        >>> attack_inputs(net, x, y, jax.random.key(0), fgsm(0.2)).fooled.tolist()
        [True, False]
    """
    nominal = jax.lax.stop_gradient(apply(inputs))
    is_ours = isinstance(settings, InputAttack)
    targets = jnp.argmax(nominal, axis=-1) if is_ours and settings.labels == "predicted" else labels
    check_label_form(targets, nominal.shape)
    targets = jnp.asarray(targets, int)  # of the dtype of argmax
    loss = logit_loss(settings.loss if is_ours else "cross_entropy")

    def value_of(logits: Array) -> Value:
        # -inf masks a class; anything else that is not finite is no answer, whatever the loss makes of it.
        is_answer = jnp.all(logits < jnp.inf, axis=-1)
        fooled = (jnp.argmax(logits, axis=-1) != targets) & is_answer
        values = jnp.where(is_answer, loss(logits, targets, nominal), jnp.nan)
        return Value(values, fooled.astype(values.dtype))

    clean, start = jax.lax.stop_gradient(inputs), value_of(nominal)
    if is_ours:
        found = climb_inputs(lambda x: value_of(apply(x)), inputs, key, settings)
    else:
        found = _found_by(settings, lambda x: jnp.mean(value_of(apply(x)).loss), clean, key)
    point, value = found.point, found.value
    if value is None:
        value = value_of(apply(point))
    else:
        # The clean inputs were seen too: a random start may lie below them.
        point, value = better_of((point, value), (clean, start))
    return jax.lax.stop_gradient(
        AttackedInputs(
            inputs=point,
            losses=value.loss,
            nominal_losses=start.loss,
            fooled=value.failure > 0,
            found=(value.failure > 0) & (start.failure == 0),
            moved=jnp.any((point != clean).reshape(clean.shape[0], -1), axis=-1),
            has_gradient=found.has_gradient,
            is_finite=found.is_finite,
        )
    )


def _found_by(attack: AttackOnInputs, loss: Callable[[Inputs], Array], clean: Inputs, key: Array) -> Ascended:
    """What an attack of the user's own finds; that it moved stands for its gradient, which is not known."""
    point = jax.lax.stop_gradient(attack(loss, clean, key))
    moved = jnp.any((point != clean).reshape(clean.shape[0], -1), axis=-1)
    is_finite = jnp.all(jnp.isfinite(point).reshape(clean.shape[0], -1), axis=-1)
    return Ascended(point, None, jnp.zeros((0,)), moved, is_finite)
