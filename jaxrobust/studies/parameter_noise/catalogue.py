"""Every architecture of the library."""

from collections.abc import Mapping
from typing import Any, get_args

from jaxrobust.data.dataset import Dataset
from jaxrobust.errors import InputError
from jaxrobust.networks.cnn import CNN, Normalization
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.networks.mlp import MLP, Start
from jaxrobust.networks.network import Network
from jaxrobust.networks.padded_lsnn import PaddedLSNN
from jaxrobust.networks.resnet import ResNet
from jaxrobust.settings import OneOf, Setting, nearest
from jaxrobust.studies import training_points
from jaxrobust.studies.parameter_noise.family import NetworkFamily
from jaxrobust.studies.parameter_noise.shared_settings import COUNT, NEURONS, POSITIVE, TRAINING

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


def _schedule(n_epochs: tuple[float, ...], rates: tuple[float, ...], interval: int) -> dict[str, Setting]:
    return {
        "n_epochs": Setting(n_epochs, "epochs of each phase", allowed=POSITIVE),
        "learning_rate": Setting(rates, "learning rate of each phase"),
        "eval_step_interval": Setting(interval, "training steps between validations", allowed=COUNT),
    }


ecg_lsnn = NetworkFamily(
    name="ecg_lsnn",
    about="spiking network (LSNN) that tells four kinds of heartbeats apart, MIT-BIH Arrhythmia Database",
    settings={
        "dataset": Setting("mitdb", "mitdb, or generated_ecg for synthetic heartbeats"),
        "split": Setting(
            "patients",
            "patients (no patient in two parts), patients_normal_pvc (the same, two classes) or published "
            "(by beat)",
        ),
        **_schedule((150.0, 50.0), (1e-3, 1e-4), 400),
        **TRAINING,
        **NEURONS,
    },
    network=_lsnn,
    learns="sequences",
)

speech_lsnn = NetworkFamily(
    name="speech_lsnn",
    about="spiking network (LSNN) that recognises spoken keywords",
    settings={
        "dataset": Setting(
            "speech_commands", "speech_commands (Google's v0.02), arabic_speech, or generated_speech"
        ),
        "split": Setting("", "how the data are divided; empty for the data set's own, by speaker"),
        **_schedule((80.0, 20.0), (1e-3, 1e-4), 400),
        **TRAINING,
        **NEURONS,
    },
    network=_lsnn,
    learns="sequences",
)

_STARTS = OneOf(get_args(Start))
_CHANNEL_BIASES = Setting(
    True, "one bias a channel in the first convolution; false: a single one, as published"
)
_NORMALISATION = Setting(
    "running",
    "running statistics, or batch: those of each batch, as published",
    allowed=OneOf(get_args(Normalization)),
)

cnn = NetworkFamily(
    name="cnn",
    about="convolutional network on Fashion-MNIST",
    settings={
        "dataset": Setting("fashion_mnist", "fashion_mnist, mnist, or digits_28x28"),
        "split": Setting("clean", "clean, or published for the published proportions"),
        **_schedule((35.0, 5.0), (1e-4, 1e-5), 1000),
        "normalisation": _NORMALISATION,
        "channel_biases": _CHANNEL_BIASES,
        **TRAINING,
    },
    network=_cnn,
    learns="images",
)

cifar_cnn = NetworkFamily(
    name="cifar_cnn",
    about="the same convolutional network on CIFAR-10",
    settings={
        "dataset": Setting("cifar10", "cifar10, or digits_32x32"),
        "split": Setting("clean", "how the data are divided"),
        **_schedule((35.0, 5.0), (1e-4, 1e-5), 1000),
        "normalisation": _NORMALISATION,
        "channel_biases": _CHANNEL_BIASES,
        **TRAINING,
    },
    network=_cnn,
    learns="images",
)

# What becomes conductances in phase-change memory: all but batch normalisation and the bias.
WEIGHTS_OF_RESNET = r"(?!.*bn)(?!.*/b$).*"

resnet32 = NetworkFamily(
    name="resnet32",
    about="ResNet32 on CIFAR-10",
    settings={
        "dataset": Setting("cifar10", "cifar10, or digits_32x32"),
        "split": Setting("clean", "how the data are divided"),
        **_schedule((60.0, 60.0, 40.0, 140.0), (0.1, 0.02, 0.004, 0.0008), 400),
        "n_blocks": Setting(5, "blocks a stage; 5 make ResNet32", allowed=COUNT),
        **TRAINING,
        "optimizer": Setting(
            "nesterov",
            "nesterov (momentum and weight decay as published), adam or sgd",
            allowed=TRAINING["optimizer"].allowed,
        ),
        "batch_size": Setting(256, "samples a training step", allowed=COUNT),
        "dropout_prob": Setting(
            0.0, "0: there is no dropout in this network", True, OneOf((0.0,), ", as resnet32 has no dropout")
        ),
        "n_attack_steps": Setting(3, "steps of the attack", allowed=COUNT),
        "weight_clipping": Setting(2.0, "clip weights to so many standard deviations; 0 for never"),
        "noisy_forward_params": Setting(
            WEIGHTS_OF_RESNET, "pattern of the parameters that get forward noise: not bn, no biases"
        ),
        "attack_factors": Setting(
            (".*bn.*=0", ".*=1"), "factors of the attack's size by parameter, first match wins; none: all 1"
        ),
    },
    network=_resnet,
    learns="images",
)

mnist_mlp = NetworkFamily(
    name="mnist_mlp",
    about="fully connected network on MNIST, with the term that drives up its weights",
    settings={
        "dataset": Setting("mnist", "mnist, fashion_mnist, or digits_28x28"),
        "split": Setting("clean", "how the data are divided"),
        **_schedule((20.0,), (1e-3,), 400),
        "n_hidden": Setting((1024, 1024), "units of each hidden layer", allowed=COUNT),
        "start": Setting(
            "published", "published (all of standard deviation 0.1) or he (by fan-in)", allowed=_STARTS
        ),
        "weight_increase": Setting(0.0, "weight of the term that drives hidden weights up; published 1e5"),
        **TRAINING,
        "optimizer": Setting(
            "sgd", "sgd, adam, nesterov, esgd (Entropy-SGD) or abcd", allowed=TRAINING["optimizer"].allowed
        ),
        "batch_size": Setting(128, "samples a training step", allowed=COUNT),
        "beta_robustness": Setting(0.0, "weight of the robust term (beta); 0 trains without attack"),
    },
    network=_mlp,
    learns="images",
)

digits_mlp = NetworkFamily(
    name="digits_mlp",
    about="small fully connected network on scikit-learn's handwritten digits",
    settings={
        "dataset": Setting("digits", "digits: 8x8 images that come with scikit-learn"),
        "split": Setting("stratified", "how the data are divided"),
        **_schedule((60.0, 20.0), (1e-3, 1e-4), 50),
        "n_hidden": Setting((64, 64), "units of each hidden layer", allowed=COUNT),
        "start": Setting("he", "he (by fan-in) or published (all of standard deviation 0.1)", True, _STARTS),
        **TRAINING,
    },
    network=_mlp,
    learns="images",
)

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
        hint = nearest(str(name), FAMILIES)
        raise InputError(f"There is no architecture {name!r}; there are {', '.join(FAMILIES)}.{hint}")
    return FAMILIES[str(name)]


def family_of(model: Settings) -> NetworkFamily:
    """The architecture of a grid point."""
    return family_named(model.get("architecture"))


def network_of(model: Settings, dataset: Dataset) -> Network:
    """The network of a grid point, flat or typed."""
    if "network" in model:
        return training_points.network_of(model, dataset)
    return family_of(model).network(model, dataset)
