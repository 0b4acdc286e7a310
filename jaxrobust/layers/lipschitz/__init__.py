"""Layers that do not expand L2 distances, and layers that keep them.

``LipschitzConv`` and ``OrthogonalDense`` are Flax Linen modules whose kernels are made by pure functions; put
them into any Linen model. A ``Chain`` of layers that state their bounds can be certified
(``jaxrobust.certificates.lipschitz``).
"""

from jaxrobust.layers.lipschitz.activations import GroupSort, MaxMin, ReLU, group_sort, max_min
from jaxrobust.layers.lipschitz.block_convolution import bcop_kernel, block_convolve
from jaxrobust.layers.lipschitz.bounds import Bound, Bounded, bound_of
from jaxrobust.layers.lipschitz.chain import Chain, Flatten, Parallel, Pointwise, Residual, Scale, Upsample
from jaxrobust.layers.lipschitz.frequency import SOC, Cayley
from jaxrobust.layers.lipschitz.modules import LipschitzConv, OrthogonalDense
from jaxrobust.layers.lipschitz.parameterizations import (
    AOL,
    BCOP,
    L2NE,
    OSSN,
    RKO,
    Parameterization,
    Unconstrained,
)
from jaxrobust.layers.lipschitz.polar import bjorck, orthogonalize, symmetric_projector
from jaxrobust.layers.lipschitz.pooling import Pool, SpaceToDepth, depth_to_space, pool, space_to_depth
from jaxrobust.layers.lipschitz.sll import SLL
from jaxrobust.layers.lipschitz.spectrum import convolution_norm, singular_values

__all__ = [
    "AOL",
    "BCOP",
    "L2NE",
    "OSSN",
    "RKO",
    "SLL",
    "SOC",
    "Bound",
    "Bounded",
    "Cayley",
    "Chain",
    "Flatten",
    "GroupSort",
    "LipschitzConv",
    "MaxMin",
    "OrthogonalDense",
    "Parallel",
    "Parameterization",
    "Pointwise",
    "Pool",
    "ReLU",
    "Residual",
    "Scale",
    "SpaceToDepth",
    "Unconstrained",
    "Upsample",
    "bcop_kernel",
    "bjorck",
    "block_convolve",
    "bound_of",
    "convolution_norm",
    "depth_to_space",
    "group_sort",
    "max_min",
    "orthogonalize",
    "pool",
    "singular_values",
    "space_to_depth",
    "symmetric_projector",
]
