"""``train.py -positions``: what is printed of networks by name and of those of experiments."""

import re
import subprocess
import sys

import pytest

from jaxrobust.cli import train
from jaxrobust.networks.cuts import position_rows
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.networks.named import NAMED
from jaxrobust.networks.names import PUBLISHED_NETWORKS


def printed(capsys, *words: str, status: int = 0):
    assert train.main(list(words)) == status
    said = capsys.readouterr()
    return said.err if status else said.out


def rows_of(text: str) -> dict[str, list[str]]:
    """The cells of each row by position; shapes are joined again."""
    cells = (line.replace(" x ", "x").split() for line in text.splitlines() if line.startswith("  "))
    return {row[0]: row[1:] for row in cells}


def test_positions_of_a_network_by_name(capsys):
    text = printed(capsys, "-arch=resnet18", "-positions")
    assert text.startswith("resnet18: ResidualNetwork on cifar10")
    rows = rows_of(text)
    assert rows["input"] == ["32x32x3", "3", "no", "yes"]
    assert rows["layer2_0/add"] == ["16x16x128", "128", "yes", "yes"]
    assert rows["layer2_0/conv1"] == ["16x16x128", "128", "yes", "no"]  # the shortcut leads around it
    assert rows["logits"] == ["10", "10", "yes", "no"]


def test_settings_and_data_of_a_network_by_name(capsys):
    rows = rows_of(
        printed(capsys, "-arch=strided_cnn", "-positions", "-dataset=mnist", "-channels=8,9,16,32,32")
    )
    assert rows["relu2"] == ["7x7x9", "9", "yes", "yes"]


def test_positions_of_a_family_with_a_time_loop(capsys):
    rows = rows_of(printed(capsys, "-arch=ecg_lsnn", "-positions"))
    assert rows["rates"] == ["256", "256", "yes", "yes"]
    assert rows["input"][0] == "anyx2"


def test_positions_of_every_network_of_an_experiment(capsys):
    text = printed(capsys, "-exp=stitching_mnist,lipschitz_digits", "-positions")
    assert text.count("stitching_mnist: ConvStack on mnist") == 1  # three donors are one network
    assert "lipschitz_digits: " in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-arch=resnet19",), "There is no architecture 'resnet19'. Did you mean 'resnet18'?"),
        (("-arch=tiny10", "-network.widht=3"), "Tiny10 has no setting 'widht', only normalized."),
        (("-arch=vgg11", "-dataset=digits"), "VGG needs images of at least 16x16 pixels"),
        (("-exp=stitching_mnits",), "There is no experiment 'stitching_mnits'"),
        (("-exp=lipschitz_critics",), "No network of lipschitz_critics learns a data set"),
        (("-arch=tiny10", "-status"), "Give either -positions or -status"),
    ],
)
def test_bad_words_are_one_sentence(words, says, capsys):
    said = printed(capsys, *words, "-positions", status=2)
    assert said.count("\n") == 1
    assert re.search(says, said)


def test_names_are_known_without_jax_and_each_is_a_network():
    assert tuple(NAMED) == PUBLISHED_NETWORKS
    code = "import sys, jaxrobust.cli.train, jaxrobust.networks.names; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_only_positions_with_a_way_in_and_a_way_out_are_cut():
    for name in ("tiny10", "dense", "lenet"):
        rows = position_rows(NAMED[name].build((32, 32, 3), 10))
        assert [row.name for row in rows if not row.front] == ["input"]
        assert [row.name for row in rows if not row.end] == ["logits"]
    assert {row.name for row in position_rows(LSNN(n_in=2, n_out=3, n_hidden=4))} >= {"input", "rates"}
