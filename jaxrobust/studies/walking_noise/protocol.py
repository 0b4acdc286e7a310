"""How the published networks are trained: Adam, cosine per epoch, and noise during training or not."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrobust import data
from jaxrobust.criteria import CrossEntropy
from jaxrobust.errors import InputError
from jaxrobust.perturbations.perturbation import Perturbation
from jaxrobust.studies.training_points import training_point
from jaxrobust.studies.walking_noise.networks import OnStandardizedImages, PublishedNetwork
from jaxrobust.training.augmentation import AUGMENTATIONS, Augmentation
from jaxrobust.training.methods import Method, NoisyActivations, Standard
from jaxrobust.training.optimizers import Adam
from jaxrobust.training.optimizers.optimizer import Optimizer
from jaxrobust.training.optimizers.projections import Clamp, Projected
from jaxrobust.training.schedule import Cosine

# Published epochs by network and data set.
EPOCHS = {
    ("mlp", "mnist"): 100,
    ("lenet5", "mnist"): 50,
    ("mlp", "cifar10"): 200,
    ("lenet5", "cifar10"): 300,
    ("mlp", "fashion_mnist"): 250,
    ("lenet5", "fashion_mnist"): 200,
    ("mlp", "svhn"): 300,
    ("lenet5", "svhn"): 200,
    ("mlp", "speech_commands"): 150,
    ("mlp", "speech_commands_12"): 150,
    ("cnn_s", "speech_commands"): 150,
    ("cnn_s", "speech_commands_12"): 150,
}
# How the names of sets of spoken words end.
SPEECH = ("speech", "speech_commands", "speech_commands_12")
# Weight matrices and kernels, neither biases nor batch normalization.
WEIGHTS = (r"w\d+|.*kernel",)
# Published means and deviations of images, SVHN by those of CIFAR-10.
COLOURS = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
STANDARDIZATION = {"cifar10": COLOURS, "svhn": COLOURS, "fashion_mnist": ((0.5,), (0.5,))}
# The loss of unknown words is divided by this, as they are many words in one class.
UNKNOWN = "_unknown_"
UNKNOWN_DIVISOR = 3.6


def published_point(
    network: PublishedNetwork,
    dataset: str = "mnist",
    *,
    seed: int = 0,
    epochs: int | None = None,
    noise: Mapping[str, Perturbation] | None = None,
    clamp: float | None = None,
    method: Method | None = None,
    class_weights: tuple[float, ...] | None = None,
) -> dict[str, Any]:
    """A grid point trained as published; networks trained without noise are the same for all evaluations.

    The learning rate 1e-3 (5e-4 for keywords) falls to 0 by a cosine per epoch; batches have 128 samples (512
    for keywords); images of CIFAR-10 and Fashion-MNIST are cropped and flipped, those of SVHN only cropped,
    as digits have left and right; all three are standardized as published, inside of the network, so that
    noise at its ``input`` is in published units; the last parameters are kept. Of the 60,000 training images
    of MNIST, 6,000 are held out for validation (published: none, the test set serves).

    Args:
        network: The network.
        dataset: Name of the data set.
        seed: Seed of all that is random.
        epochs: The published number by default, 100 where none is.
        noise: Perturbations in training by position.
        clamp: Largest absolute weight, as the published 1; None for no limit.
        method: Another training method, which brings its own noise.
        class_weights: Of the loss; ``keyword_weights(dataset)`` for keywords, as published.

    Raises:
        InputError: Both ``noise`` and ``method`` are given.
    """
    if method is not None and noise:
        raise InputError(
            "noise is put around Standard(); for another method give NoisyActivations(method, …)."
        )
    is_speech = dataset.endswith(SPEECH)
    if method is None:
        method = NoisyActivations(Standard(), dict(noise)) if noise else Standard()
    optimizer: Optimizer = Adam() if clamp is None else Projected(Adam(), Clamp(-clamp, clamp, WEIGHTS))
    n_epochs = epochs or EPOCHS.get((network.kind, dataset), 100)
    constants = STANDARDIZATION.get(dataset)
    point = training_point(
        OnStandardizedImages(network, *constants) if constants else network,
        dataset,
        schedule=Cosine(n_epochs, 5e-4 if is_speech else 1e-3, per="epoch"),
        method=method,
        optimizer=optimizer,
        batch_size=512 if is_speech else 128,
        seed=seed,
        eval_step_interval=2000,
        augmentation=_augmentation(dataset),
        criterion=CrossEntropy(class_weights=class_weights),
        keep="last",
    )
    return {**point, "n_epochs": n_epochs}


def keyword_weights(dataset: str) -> tuple[float, ...]:
    """Weights of the classes of keywords, by how rare they are; their sum is 1.

    The weight of a class is one minus its share of the training labels; that of unknown words is divided by
    3.6.

    Args:
        dataset: A data set with the class ``_unknown_``; its files are read.

    Raises:
        InputError: There is no such class.
    """
    found = data.load(dataset)
    if UNKNOWN not in found.classes:
        raise InputError(
            f"{dataset} has no class {UNKNOWN} of unknown words, only {', '.join(found.classes)}."
        )
    counts = np.array(found.train.counts(len(found.classes)))
    weights = 1 - counts / counts.sum()
    weights[found.classes.index(UNKNOWN)] /= UNKNOWN_DIVISOR
    return tuple(float(f"{weight:.6g}") for weight in weights / weights.sum())


def mnist_networks() -> list[dict[str, Any]]:
    """The MLP for MNIST without and with batch normalization, three seeds each, trained without noise."""
    return [
        published_point(PublishedNetwork("mlp", normalize), seed=seed)
        for normalize in (False, True)
        for seed in (0, 1, 2)
    ]


def _augmentation(dataset: str) -> Augmentation | None:
    if dataset == "svhn":
        return AUGMENTATIONS["crop"]
    return AUGMENTATIONS["crop_flip"] if dataset in ("cifar10", "fashion_mnist") else None
