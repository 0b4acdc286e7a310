"""Stitched networks: shapes, what is trained, what is computed, and what bad input says."""

from collections import Counter
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxrobust.errors import InputError
from jaxrobust.layers.linen import Normalization
from jaxrobust.networks.conv_stack import StridedCNN
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.networks.mlp import MLP
from jaxrobust.networks.taps import Taps
from jaxrobust.stitching.layers import DenseMap, LowRank, Pointwise, kernel_of
from jaxrobust.stitching.rank import ranks, truncated
from jaxrobust.stitching.stitched import ONLY_THE_STITCH, Cut, Stitched
from jaxrobust.training.trainable import Trainable

pytestmark = pytest.mark.usefixtures("quick_compilation")
KEY = jax.random.key(3)
WIDE, NARROW = MLP(6, (5, 4), 3), MLP(6, (7, 4), 3)
IMAGES = StridedCNN(channels=(3, 4), strides=(1, 2), pool=1).build((6, 6, 1), 3)


def rows(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape, np.float32))


def test_a_pointwise_map_is_one_matrix_for_vectors_tokens_and_images():
    layer = Pointwise()
    for given in ((5,), (2, 5), (4, 4, 5)):
        wanted = (*given[:-1], 3)
        layer.check(given, wanted)
        parameters = layer.init(KEY, given, wanted)
        h = rows(2, *given)
        expected = np.einsum("...i,io->...o", h, parameters["kernel"]) + np.asarray(parameters["bias"])
        np.testing.assert_allclose(layer.apply(parameters, h, wanted), expected, rtol=1e-5, atol=1e-6)


def test_starts():
    random = Pointwise().init(KEY, (16,), (9,))
    assert np.abs(random["kernel"]).max() <= 0.25
    assert np.abs(random["kernel"]).max() > 0.2
    permutation = Pointwise("permutation").init(KEY, (6,), (6,))["kernel"]
    assert (permutation.sum(0) == 1).all()
    assert (permutation.sum(1) == 1).all()
    np.testing.assert_array_equal(Pointwise("identity").init(KEY, (6,), (6,))["kernel"], np.eye(6))
    assert Pointwise("zeros").init(KEY, (6,), (6,))["kernel"].sum() == 0
    assert Pointwise("ones").init(KEY, (6,), (6,))["kernel"].sum() == 36
    low = LowRank(2).init(KEY, (5,), (4,))
    assert np.linalg.matrix_rank(kernel_of(low)) == 2
    np.testing.assert_allclose(low["down"].T @ low["down"], np.eye(2), atol=1e-5)


def test_images_of_other_sizes_are_resized_on_request():
    layer = Pointwise(resize="bilinear")
    layer.check((2, 2, 3), (4, 4, 1))
    ramp = jnp.arange(2.0)[None, :, None, None] * jnp.ones((1, 2, 2, 3))
    parameters = {"kernel": jnp.ones((3, 1)) / 3, "bias": jnp.zeros(1)}
    given = layer.apply(parameters, ramp, (4, 4, 1))
    np.testing.assert_allclose(given[0, :, 0, 0], [0, 0.25, 0.75, 1], atol=1e-6)


def test_a_dense_map_joins_any_shapes():
    stitched = Stitched(IMAGES, MLP(36, (5,), 3), Cut("relu2", "fc1"), DenseMap())
    variables = jax.eval_shape(stitched.init, KEY)
    assert variables.parameters["stitch"]["kernel"].shape == (3 * 3 * 4, 5)
    assert jax.eval_shape(stitched.forward, *variables, rows(2, 6, 6, 1)).logits.shape == (2, 3)


def test_only_the_stitch_is_trained_and_gets_gradients():
    stitched = Stitched(WIDE, NARROW, Cut("relu1", "relu1"))
    parameters, statistics = jax.jit(stitched.init)(KEY)
    trained, frozen = Trainable(ONLY_THE_STITCH).split(parameters)
    assert [leaf.shape for leaf in jax.tree.leaves(trained)] == [(7,), (5, 7)]

    def loss(trained):
        merged = Trainable.merge(trained, frozen)
        return stitched.forward(merged, statistics, rows(2, 6)).logits.sum()

    gradient = jax.jit(jax.grad(loss))(trained)
    assert [leaf.shape for leaf in jax.tree.leaves(gradient)] == [(7,), (5, 7)]
    assert jnp.abs(gradient["stitch"]["kernel"]).max() > 0


def operations(function, *arguments):
    """Count matrix products in the compiled program."""
    text = jax.jit(function).lower(*arguments).compile().as_text()
    return Counter(word.split("(")[0] for word in text.split() if word.startswith(("dot(", "convolution(")))


def test_a_stitched_pass_computes_each_stage_once_and_nothing_else():
    """Front: fc1. Stitch: one product. End: fc2 and logits. The rest of the donors is not in the program."""
    stitched = Stitched(WIDE, NARROW, Cut("relu1", "relu1"))
    variables = jax.jit(stitched.init)(KEY)
    found = operations(lambda v, x: stitched.forward(*v, x).logits, variables, rows(64, 6))
    assert found == {"dot": 4}


def test_a_stitched_network_can_be_cut_again():
    stitched = Stitched(WIDE, NARROW, Cut("relu1", "relu1"))
    again = Stitched(stitched, WIDE, Cut("end/relu2", "relu2"))
    variables = jax.eval_shape(again.init, KEY)
    assert list(again.positions) == [
        "input",
        "front/front/fc1",
        "front/front/relu1",
        "front/stitch",
        "front/end/fc2",
        "front/end/relu2",
        "stitch",
        "logits",
    ]
    assert jax.eval_shape(again.forward, *variables, rows(2, 6)).logits.shape == (2, 3)


class Normalized(nn.Module):
    @nn.compact
    def __call__(self, x, *, training, tap):
        for layer in (1, 2):
            x = Normalization(name=f"bn{layer}")(nn.Dense(4, name=f"fc{layer}")(x), training=training)
        return x


@pytest.mark.parametrize("donors", ["frozen", "adapting"])
def test_batch_normalization_of_the_donors(donors):
    """Frozen: not a bit moves. Adapting: statistics of layers that are computed move, no others."""
    donor = LinenNetwork(Normalized(), (3,))
    stitched = Stitched(donor, donor, Cut("bn1", "bn1"), donors=donors)
    parameters, statistics = jax.jit(stitched.init)(KEY)
    outputs = jax.jit(lambda p, s, x: stitched.forward(p, s, x, training=True))(
        parameters, statistics, rows(8, 3)
    )
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), outputs.statistics, statistics)
    expected = donors == "adapting"
    for part, live, dead in (("front", "bn1", "bn2"), ("end", "bn2", "bn1")):
        assert moved[part]["batch_stats"][live]["mean"] == expected
        assert not moved[part]["batch_stats"][dead]["mean"]
    replaced = Taps(replace={"stitch": rows(8, 4)})
    outputs = stitched.forward(parameters, statistics, rows(8, 3), training=True, tap=replaced)
    jax.tree.map(np.testing.assert_array_equal, outputs.statistics["front"], statistics["front"])


def test_masked_entries_are_zero_and_stay_so():
    stitched = Stitched(WIDE, NARROW, Cut("relu1", "relu1"), Pointwise(masked=True))
    fresh = jax.jit(stitched.init)(KEY)
    mask = np.zeros((5, 7), np.float32)
    mask[1, 2] = mask[4, 0] = 1
    front, end = (type(fresh)(fresh.parameters[donor], fresh.statistics[donor]) for donor in ("front", "end"))
    parameters, statistics = stitched.join(front, end, fresh.parameters["stitch"], mask)

    def loss(stitch):
        return stitched.forward({**parameters, "stitch": stitch}, statistics, rows(9, 6)).logits.sum()

    gradient = jax.jit(jax.grad(loss))(parameters["stitch"])["kernel"]
    assert ((gradient != 0) <= (mask > 0)).all()
    np.testing.assert_array_equal(parameters["stitch"]["kernel"] != 0, mask)
    with pytest.raises(InputError, match="has no mask"):
        Stitched(WIDE, NARROW, Cut.at("relu1")).join(front, end, fresh.parameters["stitch"], mask)


@dataclass(frozen=True)
class Half:
    def perturb(self, key, tree):
        return 0.5 * tree


def test_perturbing_the_stitch_is_perturbing_what_the_end_gets():
    stitched = Stitched(WIDE, NARROW, Cut.at("relu1"))
    parameters, statistics = jax.jit(stitched.init)(KEY)
    x = rows(2, 6)
    jax.tree_util.register_static(Half)
    noisy = stitched.forward(parameters, statistics, x, key=KEY, tap=Taps(perturb={"stitch": Half()}))
    halved = {name: 0.5 * part for name, part in parameters["stitch"].items()}
    expected = stitched.forward({**parameters, "stitch": halved}, statistics, x).logits
    np.testing.assert_allclose(noisy.logits, expected, rtol=1e-5, atol=1e-6)


def test_truncation_leaves_the_stitch_as_it_is_and_full_rank_changes_nothing():
    stitch = {"kernel": rows(5, 7), "bias": rows(7)}
    before = jax.tree.map(np.array, stitch)
    np.testing.assert_allclose(truncated(stitch, 5)["kernel"], stitch["kernel"], atol=1e-5)
    for rank in ranks(stitch):
        assert np.linalg.matrix_rank(truncated(stitch, rank)["kernel"], tol=1e-4) == rank
    jax.tree.map(np.testing.assert_array_equal, stitch, before)
    assert ranks({"kernel": rows(20, 20)}) == [20, 18, 16, 14, 12, 10, 8, 6, 4, 2]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Stitched(WIDE, NARROW, Cut.at("relu3")), r"no position 'relu3'"),
        (lambda: Stitched(IMAGES, IMAGES, Cut("relu1", "relu2")), r"must agree, or be made to"),
        (lambda: Stitched(IMAGES, IMAGES, Cut("relu2", "features")), r"take DenseMap\(\)"),
        (lambda: Stitched(WIDE, NARROW, Cut.at("relu1"), Pointwise("identity")), r"has 5 and the end 7"),
        (lambda: Stitched(WIDE, NARROW, Cut.at("relu1"), DenseMap("permutation")), r"has 5 and the end 7"),
        (lambda: Stitched(WIDE, NARROW, Cut.at("relu1"), LowRank(6)), r"has rank 5 at most"),
        (lambda: Stitched(WIDE, MLP(7, (5,), 3), Cut.at("relu1")), r"both must take the same inputs"),
        (
            lambda: Stitched(LSNN(4, 3, n_hidden=5), MLP(16, (5,), 3), Cut("spikes", "fc1")),
            r"inside of a time loop",
        ),
        (lambda: Stitched(WIDE, WIDE, Cut.at("relu1"), donors="thawed"), r'"frozen" or "adapting"'),
        (lambda: Pointwise("eye"), r"not 'eye'"),
        (lambda: LowRank(2, masked=True), r"no single kernel to mask"),
    ],
)
def test_what_does_not_fit_is_one_sentence(make, says):
    with pytest.raises(InputError, match=says):
        make()
