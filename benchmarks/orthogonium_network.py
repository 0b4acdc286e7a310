"""The published Lipschitz networks in orthogonium (PyTorch), for the benchmarks that compare with it."""

from typing import Any, Literal

from jaxrobust.networks.lipschitz import LAYOUTS, Layout

# Adaptive orthogonal convolutions, the successors of BCOP, or reshaped kernels divided by their size.
Convolution = Literal["AOC", "RKO"]


def orthogonium_network(
    layout: Layout, shape: tuple[int, int, int], n_classes: int, convolution: Convolution = "AOC"
) -> Any:
    """Return a ``torch.nn.Sequential`` of orthogonium's layers; ``shape`` is height, width and channels.

    Raises:
        ImportError: orthogonium is not installed.
    """
    import torch
    from orthogonium.layers.conv.AOC.ortho_conv import AdaptiveOrthoConv2d
    from orthogonium.layers.conv.AOC.rko_conv import RKOConv2d
    from orthogonium.layers.linear.ortho_linear import OrthoLinear

    class MaxMin(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            one, other = x.chunk(2, dim=1)
            return torch.cat([torch.maximum(one, other), torch.minimum(one, other)], dim=1)

    convolve = AdaptiveOrthoConv2d if convolution == "AOC" else RKOConv2d
    convolutions, units = LAYOUTS[layout]
    layers: list[Any] = []
    side, channels = shape[0], shape[2]
    for features, size, stride in convolutions:
        if stride > 1:  # as published: squares of pixels become channels, the kernel shrinks
            layers.append(torch.nn.PixelUnshuffle(stride))
            channels, side = channels * stride**2, side // stride
        layers += [convolve(channels, features, size // stride, padding_mode="circular"), MaxMin()]
        channels = features
    layers.append(torch.nn.Flatten())
    width = channels * side**2
    for n in units:
        layers += [OrthoLinear(width, n), MaxMin()]
        width = n
    return torch.nn.Sequential(*layers, OrthoLinear(width, n_classes))
