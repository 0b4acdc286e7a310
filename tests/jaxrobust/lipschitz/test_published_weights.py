"""Published weights in synthetic state dicts: the logits are those of a computation in NumPy."""

import jax
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
# Convolutions as (channels in, channels out, stride, size) behind the squares of pixels, and dense layers as
# (outputs, inputs) from the first number of their names on: section 4 of the published networks.
SMALL = (((4, 16, 2, 2), (64, 32, 2, 2)), ((100, 128), (10, 100)))
LARGE = (
    ((1, 32, 1, 3), (128, 32, 2, 2), (32, 64, 1, 3), (256, 64, 2, 2)),
    ((512, 256), (512, 512), (10, 512)),
)
FC = ((), ((1024, 64), (1024, 1024), (1024, 1024), (10, 1024)))
LAYERS = {"small": SMALL, "large": LARGE, "fc": FC}
slow = pytest.mark.slow
CASES = (
    ("small", "BCOP"),
    *(pytest.param("small", name, marks=slow) for name in ("RKO", "OSSN", "SVCM", "RK-L2NE")),
    pytest.param("large", "RK-L2NE", marks=slow),
    pytest.param("large", "BCOP", marks=slow),
    pytest.param("large", "RKO", marks=slow),
    pytest.param("fc", "FC", marks=slow),
)


def orthogonal(random, *shape):
    """Nearly orthogonal matrices, as trained ones are, which twenty iterations make orthogonal."""
    q = np.linalg.qr(random.standard_normal((*shape[:-2], max(shape[-2:]), max(shape[-2:]))))[0]
    return (q[..., : shape[-2], : shape[-1]] + 0.02 * random.standard_normal(shape)) / 3


def state_of(method, layout="small"):
    random, state = np.random.default_rng(0), {}
    convolutions, dense = LAYERS[layout]
    for index, (n_in, n_out, _, size) in enumerate(convolutions, start=1):
        name, n = f"conv{index}", max(n_in, n_out)
        if method == "BCOP":
            state[f"{name}.conv.param_matrices"] = orthogonal(random, 2 * size - 1, n, n)
            state[f"{name}.conv.mask"] = np.ones((2 * size - 2, 1, n))
        elif method == "RKO":
            state[f"{name}.conv.weight"] = orthogonal(random, n_out, n_in * size**2)
        else:
            state[f"{name}.conv.weight"] = random.standard_normal((n_out, n_in, size, size)) / 20
        if method == "OSSN":
            state |= {f"{name}.conv.factor": np.array(1.7), f"{name}.conv.u": np.zeros((n_out, 4, 4))}
        state[f"{name}.conv.bias"] = random.standard_normal(n_out) / 10
    for index, (out, n_in) in enumerate(dense, start=1 if convolutions else 0):
        state |= {f"linear{index}.weight": orthogonal(random, out, n_in)}
        state |= {f"linear{index}.bias": random.random(out)}
    return state


def bjorck(w):
    if w.shape[-2] < w.shape[-1]:
        return bjorck(w.swapaxes(-1, -2)).swapaxes(-1, -2)
    w = w / np.linalg.norm(w, 2, axis=(-2, -1), keepdims=True)
    for _ in range(20):
        w = 1.5 * w - 0.5 * w @ (w.swapaxes(-1, -2) @ w)
    return w


def block_convolution(a, b):
    """Matrix taps of one after the other, by the defining sum."""
    size = len(a) + len(b) - 1
    c = np.zeros((size, size, *a.shape[2:]))
    for i, j, k, m in np.ndindex(*a.shape[:2], *b.shape[:2]):
        c[i + k, j + m] += a[i, j] @ b[k, m]
    return c


def kernel(state, name, method, n_in, n_out, size):
    """The convolution's weight (out, in, height, width), by the published formulas."""
    if method == "BCOP":
        o = bjorck(state[f"{name}.conv.param_matrices"])
        n, h = o.shape[-1], o[0, :n_in, :n_out]
        projectors, one = [c @ c.T for c in o[1:, :, : n // 2]], np.eye(n)
        taps = one[None, None]
        for p, q in zip(projectors[::2], projectors[1::2], strict=True):
            pair = np.array([[p @ q, p @ (one - q)], [(one - p) @ q, (one - p) @ (one - q)]])
            taps = block_convolution(taps, pair)
        is_flipped = n_in > n_out
        taps = (h.T if is_flipped else h) @ taps
        return taps.transpose(2, 3, 1, 0) if is_flipped else taps.transpose(3, 2, 1, 0)
    w = state[f"{name}.conv.weight"].reshape(n_out, -1)
    if method == "RKO":
        w = bjorck(w) / size
    if method == "OSSN":
        w = w / 1.7
    if method == "RK-L2NE":
        w = w / np.sqrt(min(np.abs(w @ w.T).sum(1).max(), np.abs(w.T @ w).sum(1).max())) / size
    return w.reshape(n_out, n_in, size, size)


def max_min(x):
    one, other = np.split(x, 2, axis=1)
    return np.concatenate([np.maximum(one, other), np.minimum(one, other)], axis=1)


def logits(state, method, layout, x):
    convolutions, dense = LAYERS[layout]
    for index, (n_in, n_out, stride, size) in enumerate(convolutions, start=1):
        b, c, h, w = x.shape
        x = x.reshape(b, c, h // stride, stride, w // stride, stride).transpose(0, 1, 3, 5, 2, 4)
        x = x.reshape(b, stride**2 * c, h // stride, w // stride)
        sides = (size // 2, (size - 1) // 2)  # an even kernel has its longer side before
        padded = np.pad(x, ((0, 0), (0, 0), sides, sides), mode="wrap")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (2, 3))
        weight = kernel(state, f"conv{index}", method, n_in, n_out, size)
        x = np.einsum("bchwij,ocij->bohw", windows, weight, optimize=True)
        x = max_min(x + state[f"conv{index}.conv.bias"][:, None, None])
    x = x.reshape(len(x), -1)
    for index in range(first := 1 if convolutions else 0, first + len(dense)):
        x = x @ bjorck(state[f"linear{index}.weight"]).T + state[f"linear{index}.bias"]
        x = max_min(x) if index < first + len(dense) - 1 else x
    return x


def ours(kernels, layout, x):
    network = LipschitzNetwork(layout, Unconstrained()).build(IMAGE, 10)
    parameters: dict = {}
    for path, array in kernels.items():
        *outer, last = path.split("/")
        place = parameters
        for name in outer:
            place = place.setdefault(name, {})
        place[last] = array
    return jax.jit(network.forward)(parameters, {}, x.transpose(0, 2, 3, 1)).logits


@pytest.mark.parametrize(("layout", "method"), CASES)
def test_the_logits_are_those_of_the_published_code(layout, method):
    state, x = state_of(method, layout), np.random.default_rng(1).random((3, 1, 8, 8)).astype(np.float32)
    wrapped = {f"module.{name}": array for name, array in state.items()}
    found = ours(published_kernels(wrapped, layout, method, IMAGE), layout, x)
    np.testing.assert_allclose(found, logits(state, method, layout, x), atol=1e-4)


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
