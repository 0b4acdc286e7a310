"""What a grid point holds: each architecture's settings, and the cachable training behind ``"train"``.

``ecg_lsnn.make()`` gives a grid point: every setting with its default, the architecture's name, and under
``"train"`` the function that trains it, for ``datajuicer.run(grid, "train", store_key="*")("{*}")``.
"""

from jaxrobust.studies.parameter_noise.architecture import Architecture, dataset_of
from jaxrobust.studies.parameter_noise.availability import on_stand_ins, with_available_data
from jaxrobust.studies.parameter_noise.catalogue import (
    ARCHITECTURES,
    architecture_named,
    architecture_of,
    cifar_cnn,
    cnn,
    digits_mlp,
    ecg_lsnn,
    mnist_mlp,
    network_of,
    resnet32,
    speech_lsnn,
)

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "architecture_named",
    "architecture_of",
    "cifar_cnn",
    "cnn",
    "dataset_of",
    "digits_mlp",
    "ecg_lsnn",
    "mnist_mlp",
    "network_of",
    "on_stand_ins",
    "resnet32",
    "speech_lsnn",
    "with_available_data",
]
