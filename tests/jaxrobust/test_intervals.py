"""Bounds by interval arithmetic: tight where they can be, and never crossed by any network in the box."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.certificates import intervals
from jaxrobust.certificates.intervals import Interval, bilinear, bilinear_by_centre
from jaxrobust.certificates.lsnn_intervals import lsnn_bounds
from jaxrobust.certificates.propagation import output_bounds
from jaxrobust.certificates.verification import box_around, verified, verified_accuracy
from jaxrobust.errors import InputError
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.networks.mlp import MLP

LSNN_SMALL = LSNN(n_in=3, n_out=4, n_hidden=12)
MLP_SMALL = MLP(n_in=6, n_hidden=(8, 7), n_out=3)


pytestmark = pytest.mark.usefixtures("quick_compilation")


def apply_mlp(parameters, inputs):
    return MLP_SMALL.forward(parameters, {}, inputs).logits


def apply_lsnn(parameters, inputs, network=LSNN_SMALL):
    return network.forward(parameters, {}, inputs).logits


def apply_cnn(parameters, inputs):
    """Convolution, bias, ReLU, pooling, normalisation by known moments, average, readout."""
    x = (inputs - jnp.mean(inputs)) / jnp.sqrt(jnp.var(inputs) + 1e-5)
    for layer in ("one", "two"):
        x = jax.lax.conv_general_dilated(
            x, parameters[layer]["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.nn.relu((x + parameters[layer]["bias"] - 0.1) * 1.3)
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    x = jnp.mean(x, axis=(1, 2))
    return jnp.tanh(x @ parameters["readout"]) / (1 + parameters["gain"] ** 2)


def apply_normalised(parameters, inputs):
    """The published normalisation by the statistics of the chunk, here of what depends on the parameters."""
    x = jax.nn.relu(inputs @ parameters["w"])
    x = (x - jnp.mean(x, axis=0)) / jnp.sqrt(jnp.var(x, axis=0) + 1.0)
    return jax.nn.standardize(x @ parameters["v"], axis=0, epsilon=1.0)


def normal(seed, *shape, scale=1.0):
    return jnp.asarray(scale * np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def lsnn_example(network=LSNN_SMALL):
    parameters = network.init(jax.random.key(0)).parameters
    leaves, structure = jax.tree.flatten(parameters)
    noisy = [leaf + normal(i, *leaf.shape, scale=0.1) for i, leaf in enumerate(leaves)]
    return jax.tree.unflatten(structure, noisy), normal(9, 4, 30, 3)


def cnn_example():
    parameters = {
        "one": {"kernel": normal(1, 3, 3, 1, 4, scale=0.4), "bias": normal(2, 4, scale=0.1)},
        "two": {"kernel": normal(3, 3, 3, 4, 5, scale=0.3), "bias": normal(4, 5, scale=0.1)},
        "readout": normal(5, 5, 3, scale=0.5),
        "gain": normal(6, 3),
    }
    return parameters, normal(7, 3, 8, 8, 1)


EXAMPLES = {
    "mlp": (apply_mlp, partial(output_bounds, apply_mlp)),
    "cnn": (apply_cnn, partial(output_bounds, apply_cnn)),
    "normalised": (apply_normalised, partial(output_bounds, apply_normalised)),
    "lsnn": (apply_lsnn, partial(lsnn_bounds, constants=LSNN_SMALL.constants)),
    "lsnn, published rules": (
        apply_lsnn,
        partial(lsnn_bounds, constants=LSNN_SMALL.constants, split_cases=False),
    ),
}


def example(name):
    if name.startswith("lsnn"):
        return lsnn_example()
    if name == "cnn":
        return cnn_example()
    if name == "normalised":
        return {"w": normal(0, 6, 5), "v": normal(1, 5, 3)}, normal(2, 4, 6)
    return MLP_SMALL.init(jax.random.key(0)).parameters, normal(8, 5, 6)


def draw_inside(key, parameters, zeta, corner):
    """A network inside the box: by fair dice in the inside, or at a corner."""
    leaves, structure = jax.tree.flatten(parameters)
    moved = []
    for k, leaf in zip(jax.random.split(key, len(leaves)), leaves, strict=True):
        inside = jax.random.uniform(k, leaf.shape, minval=-1, maxval=1)
        moved.append(leaf + leaf * zeta * jnp.where(corner, jnp.sign(inside), inside))
    return jax.tree.unflatten(structure, moved)


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_network_in_the_box_leaves_the_bounds(name):
    """2,400 draws at each size, half of them at corners."""
    apply, bounds_of = EXAMPLES[name]
    parameters, inputs = example(name)
    bounds = jax.jit(lambda zeta: bounds_of(box_around(parameters, zeta), inputs))

    @jax.jit
    def extremes(zeta):
        def of_some(index):
            keys = jax.random.split(jax.random.fold_in(jax.random.key(1), index), 100)
            draw = partial(draw_inside, parameters=parameters, zeta=zeta)
            networks = jax.vmap(lambda key: draw(key, corner=index % 2 == 0))(keys)
            logits = jax.vmap(apply, in_axes=(0, None))(networks, inputs)
            return jnp.min(logits, 0), jnp.max(logits, 0)

        lowest, highest = jax.lax.map(of_some, jnp.arange(24))
        return jnp.min(lowest, 0), jnp.max(highest, 0)

    widths = []
    for zeta in (0.0, 1e-6, 1e-3, 0.03, 0.3):
        lower, upper = bounds(jnp.float32(zeta))
        lowest, highest = extremes(jnp.float32(zeta))
        assert np.all(lower <= lowest)
        assert np.all(highest <= upper)
        widths.append(float(jnp.mean(upper - lower)))
    nominal = apply(parameters, inputs)
    # The point box gives the network itself, up to rounding, and larger boxes wider bounds.
    lower, upper = bounds(jnp.float32(0))
    np.testing.assert_allclose(lower, nominal, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(upper, nominal, rtol=1e-3, atol=1e-3)
    assert widths == sorted(widths)
    assert widths[2] > 1.5 * widths[0]


@pytest.mark.parametrize("refr", [1, 4])
def test_other_constants_are_bounded_as_well(refr):
    network = LSNN(n_in=3, n_out=4, n_hidden=12, refr=refr, dt=0.7, tau=7.0, beta=0.9, thr=0.05)
    parameters, inputs = lsnn_example(network)
    bounds_of = jax.jit(lambda z: lsnn_bounds(box_around(parameters, z), inputs, constants=network.constants))
    many = jax.jit(
        lambda keys, zeta: jax.vmap(
            lambda k: apply_lsnn(draw_inside(k, parameters, zeta, False), inputs, network)
        )(keys)
    )
    for zeta in (0.0, 0.003, 0.1):
        lower, upper = bounds_of(jnp.float32(zeta))
        logits = many(jax.random.split(jax.random.key(0), 200), jnp.float32(zeta))
        assert np.all(lower <= logits)
        assert np.all(logits <= upper)


def test_cases_split_are_never_looser_than_the_published_rules_and_often_tighter():
    parameters, inputs = lsnn_example()

    @partial(jax.jit, static_argnames="split_cases")
    def bounds(zeta, split_cases):
        box = box_around(parameters, zeta)
        return lsnn_bounds(box, inputs, constants=LSNN_SMALL.constants, split_cases=split_cases)

    ratios = []
    for zeta in (1e-3, 3e-3):
        (lower, upper), (published_lower, published_upper) = bounds(zeta, True), bounds(zeta, False)
        assert np.all(lower >= published_lower - 1e-6)
        assert np.all(upper <= published_upper + 1e-6)
        ratios.append(np.mean(upper - lower) / np.mean(published_upper - published_lower))
    assert min(ratios) < 0.95


def test_published_rules_equal_a_slow_version():
    """One unit after the other, one step after the other, in float64, from the published rules."""
    parameters, inputs = lsnn_example()
    box = jax.tree.map(np.asarray, box_around(parameters, 0.01))
    low, high = (jax.tree.map(lambda leaf: leaf.astype(np.float64), end) for end in box)
    inputs = inputs[:2]
    net, (batch, time, _) = LSNN_SMALL, inputs.shape

    def times(a, b):
        products = [a[0] * b[0], a[0] * b[1], a[1] * b[0], a[1] * b[1]]
        return np.array([min(products), max(products)])

    rho, rho_b = np.exp(-1 / 20), np.exp(-1 / 98)
    expected, uncertain = np.zeros((batch, 4, 2)), []
    for k in range(batch):
        v, z, b, r = (np.zeros((12, 2)) for _ in range(4))
        total = np.zeros((12, 2))
        for t in range(time):
            new_v, new_z, new_b, new_r = (np.zeros((12, 2)) for _ in range(4))
            for i in range(12):
                current = np.zeros(2)
                for j in range(3):
                    x = np.repeat(np.float64(inputs[k, t, j]), 2)
                    current += times(x, (low["w_in"][j, i], high["w_in"][j, i]))
                for j in range(12):
                    if j != i:
                        current += times(z[j], (low["w_rec"][j, i], high["w_rec"][j, i]))
                new_b[i] = rho_b * b[i] + (1 - rho_b) * z[i]
                threshold = net.thr + net.beta * new_b[i]
                new_v[i] = rho * v[i] + (1 - rho) * current - times(z[i], threshold)[::-1]
                new_z[i, 0] = r[i, 1] <= 0.1 and new_v[i, 0] > threshold[1]
                new_z[i, 1] = r[i, 0] <= 0.1 and new_v[i, 1] > threshold[0]
                new_r[i] = np.clip(r[i] + net.refr * new_z[i] - 1, 0, net.refr)
            v, z, b, r = new_v, new_z, new_b, new_r
            total += z
        uncertain.append(total[:, 1] > total[:, 0])
        for c in range(4):
            expected[k, c] = low["b_out"][c], high["b_out"][c]
            for i in range(12):
                expected[k, c] += times(total[i] / time, (low["w_out"][i, c], high["w_out"][i, c]))
    assert 0.2 < np.mean(uncertain) <= 1
    found = lsnn_bounds(Interval(*box), inputs, constants=net.constants, split_cases=False)
    np.testing.assert_allclose(np.stack(found, -1), expected, atol=2e-5)


@pytest.mark.parametrize("x_sign", ["positive", "mixed", "exact"])
def test_matrix_products_equal_the_four_products(x_sign):
    centre, radius = normal(0, 4, 5), jnp.abs(normal(1, 4, 5))
    x = Interval(centre - radius, centre + radius)
    if x_sign == "positive":
        x = Interval(*jnp.sort(jnp.abs(jnp.stack(x)), axis=0))
    if x_sign == "exact":
        x = Interval(centre, centre)
    w = Interval(normal(2, 5, 3) - 0.5, normal(2, 5, 3) + 0.5)
    products = jnp.stack([a[:, :, None] * b for a in x for b in w])
    exact = Interval(products.min(0).sum(1), products.max(0).sum(1))
    slack = 1e-5
    operand = x.lower if x_sign == "exact" else x
    found = bilinear(jnp.matmul, operand, w, n_terms=5)
    looser = bilinear_by_centre(jnp.matmul, x, w, n_terms=5)
    for bounds in (found, looser):
        assert np.all(bounds.lower <= exact.lower)
        assert np.all(exact.upper <= bounds.upper)
    if x_sign == "mixed":
        assert np.all(found.upper - found.lower <= 1.5 * (exact.upper - exact.lower) + slack)
    else:
        np.testing.assert_allclose(found, exact, atol=slack)
    assert np.mean(looser.upper - looser.lower) >= np.mean(found.upper - found.lower) - slack or (
        x_sign == "mixed"
    )


@pytest.mark.parametrize(
    ("rule", "function", "arguments"),
    [
        (intervals.add, np.add, 2),
        (intervals.subtract, np.subtract, 2),
        (intervals.multiply, np.multiply, 2),
        (intervals.divide, np.divide, 2),
        (intervals.maximum, np.maximum, 2),
        (intervals.minimum, np.minimum, 2),
        (intervals.square, np.square, 1),
        (intervals.negate, np.negative, 1),
        (intervals.reciprocal, np.reciprocal, 1),
        (partial(intervals.increasing, jnp.exp), np.exp, 1),
    ],
)
def test_elementwise_rules_hold_every_value_and_reach_the_extremes(rule, function, arguments):
    rng = np.random.default_rng(0)
    centres = jnp.asarray(rng.standard_normal((arguments, 60)), jnp.float32)
    radii = jnp.asarray(np.abs(rng.standard_normal((arguments, 60))), jnp.float32)
    ranges = [Interval(centres[i] - radii[i], centres[i] + radii[i]) for i in range(arguments)]
    lower, upper = (np.asarray(end, np.float64) for end in rule(*ranges))
    points = [np.linspace(np.float64(r.lower), np.float64(r.upper), 41) for r in ranges]
    if arguments == 2:
        points = [points[0][:, None], points[1][None]]
    with np.errstate(divide="ignore", invalid="ignore"):
        values = function(*points).reshape(-1, 60)
    inside = np.isfinite(lower) & np.isfinite(upper)
    assert inside.any()
    assert np.all((lower <= values)[:, inside])
    assert np.all((values <= upper)[:, inside])
    np.testing.assert_allclose(values.max(0)[inside], upper[inside], rtol=0.15, atol=0.05)
    np.testing.assert_allclose(values.min(0)[inside], lower[inside], rtol=0.15, atol=0.05)


def test_verified_is_the_published_rule():
    lower, width = np.asarray(normal(0, 500, 3)), np.abs(normal(1, 500, 3))
    upper = lower + np.asarray(width)
    labels = np.arange(500) % 3
    expected = []
    for a, b, label in zip(lower.tolist(), upper.tolist(), labels.tolist(), strict=True):
        disjoint = all(b[label] < a[j] or a[label] > b[j] for j in range(3) if j != label)
        expected.append(disjoint and np.argmax(a) == label)
    found = verified(Interval(jnp.asarray(lower), jnp.asarray(upper)), jnp.asarray(labels))
    np.testing.assert_array_equal(found, expected)
    assert 20 < sum(expected) < 480
    unknown = Interval(jnp.full((1, 2), jnp.nan), jnp.full((1, 2), jnp.nan))
    assert not verified(unknown, jnp.zeros(1, int))[0]


def test_verified_accuracy_falls_with_the_box_and_not_with_the_chunks():
    parameters, inputs = example("mlp")
    labels = jnp.argmax(apply_mlp(parameters, inputs), -1)
    accuracy = jax.jit(
        lambda zeta, batch_size: verified_accuracy(
            partial(output_bounds, apply_mlp),
            box_around(parameters, zeta),
            inputs,
            labels,
            batch_size=batch_size,
        ),
        static_argnums=1,
    )
    values = [float(accuracy(zeta, None)) for zeta in (0.0, 0.02, 0.5)]
    assert values[0] == 1
    assert values[2] == 0
    assert values == sorted(values, reverse=True)
    assert accuracy(0.02, 2) == pytest.approx(values[1])


def test_operations_without_a_rule_and_wrong_inputs_are_refused():
    box = box_around({"w": jnp.ones(3)}, 0.1)
    with pytest.raises(InputError, match="no interval rule for it"):
        output_bounds(lambda p, x: jnp.sin(p["w"]) * x, box, jnp.ones(3))
    with pytest.raises(InputError, match="'argmax'"):
        output_bounds(lambda p, x: x * jnp.argmax(p["w"]), box, jnp.ones(3))
    parameters, inputs = lsnn_example()
    constants = LSNN_SMALL.constants
    with pytest.raises(InputError, match=r"\(batch, time, 3\)"):
        lsnn_bounds(box_around(parameters, 0.1), inputs[..., :2], constants=constants)
    with pytest.raises(InputError, match="positive resting threshold"):
        lsnn_bounds(box_around(parameters, 0.1), inputs, constants=constants._replace(threshold=0.0))
