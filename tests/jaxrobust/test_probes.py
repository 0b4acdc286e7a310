"""Probes of accuracies and of losses, at clean and at attacked samples."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest

from jaxrobust.attacks.input_attack import InputAttack, attack_inputs
from jaxrobust.criteria import CrossEntropy
from jaxrobust.errors import InputError
from jaxrobust.networks.mlp import MLP
from jaxrobust.training.probes import Clean, UnderInputAttack

NETWORK = MLP(n_in=4, n_hidden=(6,), n_out=3)


def test_probes_of_losses_are_the_criterion_at_clean_and_attacked_samples():
    criterion, key = CrossEntropy(smoothing=0.1), jax.random.key(0)
    parameters, _ = NETWORK.init(key)
    inputs, labels = jax.random.normal(key, (9, 4)), jnp.arange(9) % 3
    settings = InputAttack(0.2, n_steps=1, step=0.2, start="clean", keep="last", labels="predicted")

    def apply(parameters, inputs):
        return NETWORK.forward(parameters, {}, inputs).logits

    of_attacked = partial(UnderInputAttack, settings, "predicted")
    probes = (Clean("loss"), Clean(), of_attacked("loss"), of_attacked())

    @jax.jit
    def measured(inputs):
        # The attack climbs the cross-entropy without smoothing.
        attacked = attack_inputs(lambda x: apply(parameters, x), inputs, labels, key, settings).inputs
        found = [probe.measure(apply, parameters, inputs, labels, criterion, key) for probe in probes]
        logits = [apply(parameters, x) for x in (inputs, attacked)]
        losses = [criterion.loss(one, labels) for one in logits]
        return found, losses, [jnp.mean(jnp.argmax(one, -1) == labels) for one in logits]

    found, losses, accuracies = jax.tree.map(float, measured(inputs))
    assert abs(losses[1] - losses[0]) > 0.01
    assert found == pytest.approx([losses[0], accuracies[0], losses[1], accuracies[1]], rel=1e-5)
    with pytest.raises(InputError, match='of the "score" or the "loss"'):
        Clean("losses")
