"""One panel per network, in the published order."""

from collections.abc import Mapping
from typing import Any

from jaxrobust.figures.series import Points

NETWORKS = {
    "speech_lsnn": "Speech, spiking LSNN",
    "ecg_lsnn": "ECG, spiking LSNN",
    "cnn": "Images, CNN",
    "cifar_cnn": "CIFAR-10, CNN",
    "mnist_mlp": "Digits, MLP",
    "digits_mlp": "Small digits, MLP",
}


def panels_by_network(points: Points) -> dict[str, list[Mapping[str, Any]]]:
    """Group the points of each network under the title of its panel."""
    found = {
        name: of_network
        for name in NETWORKS
        if (of_network := [point for point in points if point["architecture"] == name])
    }
    return {
        f"{letter}  {NETWORKS[name]}": of_network
        for letter, (name, of_network) in zip("abcde", found.items(), strict=False)
    }
