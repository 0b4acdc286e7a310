"""Published weights in synthetic state dicts: the logits are those of a computation in NumPy."""

import numpy as np
import pytest

from jaxrobust.errors import InputError
from jaxrobust.layers.lipschitz import Unconstrained
from jaxrobust.networks.lipschitz import LipschitzNetwork
from jaxrobust.networks.published_lipschitz import published_kernels
from jaxrobust.studies.lipschitz.protocols import TASKS
from jaxrobust.studies.lipschitz.published_weights import published_point
from jaxrobust.studies.lipschitz.robustness import lipschitz_robustness

pytestmark = pytest.mark.usefixtures("quick_compilation")
IMAGE = (8, 8, 1)
CONVOLUTIONS = {"conv1": (4, 16), "conv2": (64, 32)}  # of 2x2 pixels, behind the squares of pixels
METHODS = (
    "BCOP",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("RKO", "OSSN", "SVCM", "RK-L2NE")),
)


def orthogonal(random, *shape):
    """Nearly orthogonal matrices, as trained ones are, which twenty iterations make orthogonal."""
    q = np.linalg.qr(random.standard_normal((*shape[:-2], max(shape[-2:]), max(shape[-2:]))))[0]
    return (q[..., : shape[-2], : shape[-1]] + 0.02 * random.standard_normal(shape)) / 3


def state_of(method):
    random, state = np.random.default_rng(0), {}
    for name, (n_in, n_out) in CONVOLUTIONS.items():
        n = max(n_in, n_out)
        if method == "BCOP":
            state[f"{name}.conv.param_matrices"] = orthogonal(random, 3, n, n)
            state[f"{name}.conv.mask"] = np.ones((2, 1, n))
        elif method == "RKO":
            state[f"{name}.conv.weight"] = orthogonal(random, n_out, n_in * 4)
        else:
            state[f"{name}.conv.weight"] = random.standard_normal((n_out, n_in, 2, 2)) / 20
        if method == "OSSN":
            state |= {f"{name}.conv.factor": np.array(1.7), f"{name}.conv.u": np.zeros((n_out, 4, 4))}
        state[f"{name}.conv.bias"] = random.standard_normal(n_out) / 10
    for name, out, n_in in (("linear1", 100, 128), ("linear2", 10, 100)):
        state |= {f"{name}.weight": orthogonal(random, out, n_in), f"{name}.bias": random.random(out)}
    return state


def bjorck(w):
    if w.shape[-2] < w.shape[-1]:
        return bjorck(w.swapaxes(-1, -2)).swapaxes(-1, -2)
    w = w / np.linalg.norm(w, 2, axis=(-2, -1), keepdims=True)
    for _ in range(20):
        w = 1.5 * w - 0.5 * w @ (w.swapaxes(-1, -2) @ w)
    return w


def kernel(state, name, method, n_in, n_out):
    """The convolution's weight (out, in, height, width), by the published formulas for 2x2 pixels."""
    if method == "BCOP":
        o = bjorck(state[f"{name}.conv.param_matrices"])
        n, h = o.shape[-1], o[0, :n_in, :n_out]
        p, q = (c @ c.T for c in (o[1, :, : n // 2], o[2, :, : n // 2]))
        blocks = [[p @ q, p @ (np.eye(n) - q)], [(np.eye(n) - p) @ q, (np.eye(n) - p) @ (np.eye(n) - q)]]
        is_flipped = n_in > n_out
        taps = np.array([[(h.T if is_flipped else h) @ b for b in row] for row in blocks])
        return taps.transpose(2, 3, 1, 0) if is_flipped else taps.transpose(3, 2, 1, 0)
    w = state[f"{name}.conv.weight"].reshape(n_out, -1)
    if method == "RKO":
        w = bjorck(w) / 2
    if method == "OSSN":
        w = w / 1.7
    if method == "RK-L2NE":
        w = w / np.sqrt(min(np.abs(w @ w.T).sum(1).max(), np.abs(w.T @ w).sum(1).max())) / 2
    return w.reshape(n_out, n_in, 2, 2)


def max_min(x):
    one, other = np.split(x, 2, axis=1)
    return np.concatenate([np.maximum(one, other), np.minimum(one, other)], axis=1)


def logits(state, method, x):
    for name, (n_in, n_out) in CONVOLUTIONS.items():
        b, c, h, w = x.shape
        x = (
            x.reshape(b, c, h // 2, 2, w // 2, 2)
            .transpose(0, 1, 3, 5, 2, 4)
            .reshape(b, 4 * c, h // 2, w // 2)
        )
        padded = np.pad(x, ((0, 0), (0, 0), (1, 0), (1, 0)), mode="wrap")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (2, 2), (2, 3))
        x = np.einsum("bchwij,ocij->bohw", windows, kernel(state, name, method, n_in, n_out))
        x = max_min(x + state[f"{name}.conv.bias"][:, None, None])
    x = max_min(x.reshape(len(x), -1) @ bjorck(state["linear1.weight"]).T + state["linear1.bias"])
    return x @ bjorck(state["linear2.weight"]).T + state["linear2.bias"]


def ours(kernels, x):
    network = LipschitzNetwork("small", Unconstrained()).build(IMAGE, 10)
    parameters: dict = {}
    for path, array in kernels.items():
        *outer, last = path.split("/")
        place = parameters
        for name in outer:
            place = place.setdefault(name, {})
        place[last] = array
    return network.forward(parameters, {}, x.transpose(0, 2, 3, 1)).logits


@pytest.mark.parametrize("method", METHODS)
def test_the_logits_are_those_of_the_published_code(method):
    state, x = state_of(method), np.random.default_rng(1).random((3, 1, 8, 8)).astype(np.float32)
    wrapped = {f"module.{name}": array for name, array in state.items()}
    found = ours(published_kernels(wrapped, "small", method, IMAGE), x)
    np.testing.assert_allclose(found, logits(state, method, x), atol=1e-4)


@pytest.mark.slow
def test_a_published_network_is_certified_like_any_other(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    np.savez(tmp_path / "net.npz", **state_of("BCOP"))
    point = published_point(TASKS["digits"], "small", "BCOP", tmp_path / "net.npz")
    found = lipschitz_robustness(point, 0.1, 2, n_samples=20)
    assert found["constant"] == pytest.approx(1, abs=1e-5)
    assert found["certified"] <= found["pgd"] <= found["clean"]


def changed(**arrays):
    state = {**state_of("RKO"), **{name.replace("__", "."): array for name, array in arrays.items()}}
    return {name: array for name, array in state.items() if array is not None}


@pytest.mark.parametrize(
    ("state", "method", "says"),
    [
        (changed(linear2__bias=None), "RKO", "have no 'linear2.bias'"),
        (changed(extra__weight=np.ones(3)), "RKO", "no place for 'extra.weight'"),
        (changed(conv1__conv__bias=np.ones(3)), "RKO", r"'conv1.conv.bias' has shape \(3,\)"),
        (changed(linear1__weight=np.ones((100, 7))), "RKO", "takes 7 inputs, but the images give 128"),
        (state_of("RKO"), "BCOP", "have no 'conv1.conv.param_matrices'"),
        (state_of("RKO"), "KW", "Published methods are .*, not 'KW'"),
    ],
)
def test_what_does_not_fit_is_one_sentence(state, method, says):
    with pytest.raises(InputError, match=says) as error:
        published_kernels(state, "small", method, IMAGE)
    assert "\n" not in str(error.value)
