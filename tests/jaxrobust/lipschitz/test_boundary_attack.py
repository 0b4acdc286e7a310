"""foolbox's Boundary attack, which sees answers alone, as an oracle for certificates and our own attacks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.attacks.input_attack import attack_inputs, pgd
from jaxrobust.certificates.lipschitz import certified_radii, certify, check_unbroken
from jaxrobust.networks.lipschitz import LipschitzNetwork

foolbox = pytest.importorskip("foolbox", reason="foolbox is not installed: pip install '.[peers]'")
RNG = np.random.default_rng(0)
N = 12


def attacked(logits_of, x, labels, n_steps=1500):
    """Adversarial samples of the Boundary attack, as near as it came."""
    np.random.seed(0)  # noqa: NPY002 - foolbox draws from it

    class Model(foolbox.Model):
        bounds = foolbox.types.Bounds(0, 1)

        def __call__(self, inputs):
            return type(inputs)(np.asarray(logits_of(np.asarray(inputs.raw, np.float32))))

    attack = foolbox.attacks.BoundaryAttack(steps=n_steps)
    found = attack.run(Model(), x, foolbox.criteria.Misclassification(labels))
    return found, np.linalg.norm((found - x).reshape(len(x), -1), axis=1)


def test_it_comes_near_the_plane_of_a_linear_classifier_and_never_within_the_certified_radius():
    w = RNG.standard_normal(16).astype(np.float32)
    w /= np.linalg.norm(w) * 2**0.5
    x = RNG.uniform(0.3, 0.7, (N, 4, 4, 1)).astype(np.float32)

    def logits_of(x):
        value = (x - 0.5).reshape(len(x), -1) @ w
        return np.stack([value, -value], 1)

    logits = logits_of(x)
    labels = logits.argmax(1)
    radii = certified_radii(logits, labels, float(np.linalg.norm(np.stack([w, -w], 1), 2)))
    found, distances = attacked(logits_of, x, labels)
    assert np.all(logits_of(found).argmax(1) != labels)
    assert np.all(distances >= radii * (1 - 1e-5))
    assert np.median(distances / radii) < 1.3


@pytest.mark.slow
def test_no_certificate_of_a_network_is_broken_and_pgd_is_no_weaker():
    network = LipschitzNetwork("small", width=0.25).build((8, 8, 1), 4)

    @jax.jit
    def prepare(key):
        parameters, statistics = network.init(key)
        return network.bake(parameters, statistics), statistics

    baked, statistics = prepare(jax.random.key(0))

    @jax.jit
    def forward(x):
        return network.forward(baked, statistics, x).logits

    x = RNG.random((N, 8, 8, 1), np.float32)
    logits = forward(x)
    labels = np.asarray(logits).argmax(1)
    certificate = certify(network, baked, x, labels, logits=logits)
    found, distances = attacked(forward, x, labels)
    fooled = np.asarray(forward(found)).argmax(1) != labels
    assert fooled.all()
    check_unbroken(certificate.radii, x, found, fooled)
    assert np.all(distances >= certificate.radii)
    size = float(np.median(distances))
    attack = pgd(size, 50, norm="2", loss="margin")
    ours = jax.jit(attack_inputs, static_argnums=0)(
        forward, jnp.asarray(x), jnp.asarray(labels), jax.random.key(1), attack
    )
    assert np.all(np.asarray(ours.fooled) >= (distances <= size))
