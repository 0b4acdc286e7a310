"""The network families of the first study as typed words see them: names, and every setting.

Nothing here imports JAX: misspelt words are answered at once.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from jaxrobust.errors import InputError
from jaxrobust.settings import OneOf, Setting, as_text, check_names, check_values, from_text, no_such
from jaxrobust.studies.parameter_noise.shared_settings import COUNT, NEURONS, POSITIVE, TRAINING


class FamilyWords(NamedTuple):
    """A network family's words.

    Attributes:
        about: One line on what it is.
        settings: Every setting; together they make up the key of a trained model.
    """

    about: str
    settings: Mapping[str, Setting]


def _schedule(n_epochs: tuple[float, ...], rates: tuple[float, ...], interval: int) -> dict[str, Setting]:
    return {
        "n_epochs": Setting(n_epochs, "epochs of each phase", allowed=POSITIVE),
        "learning_rate": Setting(rates, "learning rate of each phase"),
        "eval_step_interval": Setting(interval, "training steps between validations", allowed=COUNT),
    }


_STARTS = OneOf(("he", "published", "glorot", "uniform"))
_CHANNEL_BIASES = Setting(
    True, "one bias a channel in the first convolution; false: a single one, as published"
)
_NORMALISATION = Setting(
    "running",
    "running statistics, or batch: those of each batch, as published",
    allowed=OneOf(("running", "batch")),
)

_CNN = {
    **_schedule((35.0, 5.0), (1e-4, 1e-5), 1000),
    "normalisation": _NORMALISATION,
    "channel_biases": _CHANNEL_BIASES,
    **TRAINING,
}

# What becomes conductances in phase-change memory: all but batch normalisation and the bias.
WEIGHTS_OF_RESNET = r"(?!.*bn)(?!.*/b$).*"

FAMILY_WORDS = {
    "ecg_lsnn": FamilyWords(
        about="spiking network (LSNN) that tells four kinds of heartbeats apart, MIT-BIH Arrhythmia Database",
        settings={
            "dataset": Setting("mitdb", "mitdb, or generated_ecg for synthetic heartbeats"),
            "split": Setting(
                "patients",
                "patients (no patient in two parts), patients_normal_pvc (the same, two classes) or "
                "published (by beat)",
            ),
            **_schedule((150.0, 50.0), (1e-3, 1e-4), 400),
            **TRAINING,
            **NEURONS,
        },
    ),
    "speech_lsnn": FamilyWords(
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
    ),
    "cnn": FamilyWords(
        about="convolutional network on Fashion-MNIST",
        settings={
            "dataset": Setting("fashion_mnist", "fashion_mnist, mnist, or digits_28x28"),
            "split": Setting("clean", "clean, or published for the published proportions"),
            **_CNN,
        },
    ),
    "cifar_cnn": FamilyWords(
        about="the same convolutional network on CIFAR-10",
        settings={
            "dataset": Setting("cifar10", "cifar10, or digits_32x32"),
            "split": Setting("clean", "how the data are divided"),
            **_CNN,
        },
    ),
    "resnet32": FamilyWords(
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
                0.0,
                "0: there is no dropout in this network",
                True,
                OneOf((0.0,), ", as resnet32 has no dropout"),
            ),
            "n_attack_steps": Setting(3, "steps of the attack", allowed=COUNT),
            "weight_clipping": Setting(2.0, "clip weights to so many standard deviations; 0 for never"),
            "noisy_forward_params": Setting(
                WEIGHTS_OF_RESNET, "pattern of the parameters that get forward noise: not bn, no biases"
            ),
            "attack_factors": Setting(
                (".*bn.*=0", ".*=1"),
                "factors of the attack's size by parameter, first match wins; none: all 1",
            ),
        },
    ),
    "mnist_mlp": FamilyWords(
        about="fully connected network on MNIST, with the term that drives up its weights",
        settings={
            "dataset": Setting("mnist", "mnist, fashion_mnist, or digits_28x28"),
            "split": Setting("clean", "how the data are divided"),
            **_schedule((20.0,), (1e-3,), 400),
            "n_hidden": Setting((1024, 1024), "units of each hidden layer", allowed=COUNT),
            "start": Setting(
                "published", "published (all of standard deviation 0.1) or he (by fan-in)", allowed=_STARTS
            ),
            "weight_increase": Setting(
                0.0, "weight of the term that drives hidden weights up; published 1e5"
            ),
            **TRAINING,
            "optimizer": Setting(
                "sgd",
                "sgd, adam, nesterov, esgd (Entropy-SGD) or abcd",
                allowed=TRAINING["optimizer"].allowed,
            ),
            "batch_size": Setting(128, "samples a training step", allowed=COUNT),
            "beta_robustness": Setting(0.0, "weight of the robust term (beta); 0 trains without attack"),
        },
    ),
    "digits_mlp": FamilyWords(
        about="small fully connected network on scikit-learn's handwritten digits",
        settings={
            "dataset": Setting("digits", "digits: 8x8 images that come with scikit-learn"),
            "split": Setting("stratified", "how the data are divided"),
            **_schedule((60.0, 20.0), (1e-3, 1e-4), 50),
            "n_hidden": Setting((64, 64), "units of each hidden layer", allowed=COUNT),
            "start": Setting(
                "he", "he (by fan-in) or published (all of standard deviation 0.1)", True, _STARTS
            ),
            **TRAINING,
        },
    ),
}


def words_of(name: str) -> FamilyWords:
    """The words of a network family.

    Raises:
        InputError: There is none of that name.
    """
    if name not in FAMILY_WORDS:
        raise InputError(no_such("architecture", name, FAMILY_WORDS))
    return FAMILY_WORDS[name]


def check_typed(name: str, typed: Mapping[str, str], options: Iterable[str] = ()) -> None:
    """Check the names, types and ranges of typed settings of a network family.

    Args:
        name: The family.
        typed: Settings as text.
        options: Names of the command's own words, one of which may be meant.

    Raises:
        InputError: There is no such family or setting, or a value that it does not take.
    """
    settings = words_of(name).settings
    check_names(typed, [*settings, "data_folder"], of=name, near=options)
    values = {
        key: from_text(key, text, settings[key].default) for key, text in typed.items() if key in settings
    }
    check_values({key: setting.default for key, setting in settings.items()} | values, settings, name)


def described(name: str) -> tuple[str, list[tuple[str, str]]]:
    """What a network family is, and each setting as ``(-name=default, meaning)``.

    Raises:
        InputError: There is none of that name.
    """
    about, settings = words_of(name)
    rows = [(f"-{key}={as_text(setting.default)}", setting.help) for key, setting in settings.items()]
    return f"{name}: {about}", rows
