"""Every architecture of the library."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from jaxrobust.data.dataset import Dataset
from jaxrobust.errors import InputError
from jaxrobust.networks.cnn import CNN
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.networks.mlp import MLP
from jaxrobust.networks.network import Network
from jaxrobust.networks.padded_lsnn import PaddedLSNN
from jaxrobust.networks.resnet import ResNet
from jaxrobust.settings import no_such
from jaxrobust.studies import training_points
from jaxrobust.studies.parameter_noise.family import NetworkFamily
from jaxrobust.studies.parameter_noise.family_words import FAMILY_WORDS
from jaxrobust.studies.parameter_noise.shared_settings import NEURONS

Settings = Mapping[str, Any]


def _dropout(model: Settings) -> dict[str, Any]:
    return {"dropout": model["dropout_prob"], "dropout_mask": model["dropout_mask"]}


def _lsnn(model: Settings, dataset: Dataset) -> LSNN:
    constants = {name: model[name] for name in NEURONS}
    constants |= {"readout": "each_step"} if dataset.has_steps else {}
    n_in, n_out = dataset.train.inputs.shape[-1], len(dataset.classes)
    if dataset.has_lengths:
        return PaddedLSNN(n_in=n_in - 1, n_out=n_out, **constants, **_dropout(model))
    return LSNN(n_in=n_in, n_out=n_out, **constants, **_dropout(model))


def _image(dataset: Dataset) -> tuple[int, int, int]:
    height, width, channels = dataset.train.inputs.shape[1:]
    return height, width, channels


def _mlp(model: Settings, dataset: Dataset) -> MLP:
    height, width, channels = _image(dataset)
    return MLP(
        n_in=height * width * channels,
        n_hidden=model["n_hidden"],
        n_out=len(dataset.classes),
        start=model["start"],
        **_dropout(model),
    )


def _cnn(model: Settings, dataset: Dataset) -> CNN:
    return CNN(
        image=_image(dataset),
        n_out=len(dataset.classes),
        normalization=model["normalisation"],
        channel_biases=model["channel_biases"],
        **_dropout(model),
    )


def _resnet(model: Settings, dataset: Dataset) -> ResNet:
    return ResNet(image=_image(dataset), n_out=len(dataset.classes), n_blocks=model["n_blocks"])


def _family(
    name: str,
    network: Callable[[Settings, Dataset], Network],
    learns: Literal["images", "sequences"],
) -> NetworkFamily:
    about, settings = FAMILY_WORDS[name]
    return NetworkFamily(name=name, about=about, settings=settings, network=network, learns=learns)


ecg_lsnn = _family("ecg_lsnn", _lsnn, "sequences")
speech_lsnn = _family("speech_lsnn", _lsnn, "sequences")
cnn = _family("cnn", _cnn, "images")
cifar_cnn = _family("cifar_cnn", _cnn, "images")
resnet32 = _family("resnet32", _resnet, "images")
mnist_mlp = _family("mnist_mlp", _mlp, "images")
digits_mlp = _family("digits_mlp", _mlp, "images")

FAMILIES = {
    architecture.name: architecture
    for architecture in (ecg_lsnn, speech_lsnn, cnn, cifar_cnn, resnet32, mnist_mlp, digits_mlp)
}


def family_named(name: object) -> NetworkFamily:
    """Look an architecture up.

    Raises:
        InputError: There is none of that name.
    """
    if name not in FAMILIES:
        raise InputError(no_such("architecture", name, FAMILIES))
    return FAMILIES[str(name)]


def family_of(model: Settings) -> NetworkFamily:
    """The architecture of a grid point."""
    return family_named(model.get("architecture"))


def network_of(model: Settings, dataset: Dataset) -> Network:
    """The network of a grid point, flat or typed."""
    if "network" in model:
        return training_points.network_of(model, dataset)
    return family_of(model).network(model, dataset)
