"""Which grid points train in one program: read off the trainings as they are built."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxrobust import data
from jaxrobust.studies.parameter_noise.catalogue import FAMILIES, digits_mlp, family_named
from jaxrobust.studies.side_by_side import joining_pays, programs_of
from jaxrobust.training.loop import train


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 3},
        {"beta_robustness": 0.0},
        {"beta_robustness": 0.5, "attack_size_mismatch": 0.3, "initial_std_mismatch": 0.1},
        {"noisy_forward_std": 0.3},
        {"learning_rate": (0.1, 0.01)},
        {"warmup": 1.0},
    ],
)
def test_numbers_do_not_divide_programs(changes):
    point = digits_mlp.make()
    assert digits_mlp.program_of(point | changes) == digits_mlp.program_of(point)


@pytest.mark.parametrize(
    "changes",
    [
        {"n_attack_steps": 3},
        {"optimizer": "sgd"},
        {"boundary_loss": "js"},
        {"n_hidden": (8,)},
        {"n_epochs": (1.0, 1.0)},
        {"batch_size": 20},
        {"augmentation": "flip_rotate"},
        {"l2_weight_decay": 0.1},
        {"sam_rho": 0.1, "beta_robustness": 0.0},
        {"data_folder": "elsewhere"},
    ],
)
def test_structure_divides_programs(changes):
    point = digits_mlp.make()
    assert digits_mlp.program_of(point | changes) != digits_mlp.program_of(point)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_programs_of_its_own(name):
    family = family_named(name)
    assert family.program_of(family.make() | {"seed": 4}) == family.program_of(family.make())
    assert "0x" not in family.program_of(family.make())  # an address would differ between processes


def trainings(tmp_path, *settings):
    """Digits of few steps, one folder each."""
    dataset = data.blank("digits")
    quick = {"n_hidden": (4,), "n_epochs": (0.01,), "learning_rate": (0.1,), "n_attack_steps": 2}
    points = [digits_mlp.make() | quick | its for its in settings]
    return [
        digits_mlp.training_of(point, digits_mlp.network(point, dataset), dataset, tmp_path / str(index))
        for index, point in enumerate(points)
    ]


MIXED = ({"beta_robustness": 0.0}, {"beta_robustness": 0.5}, {"beta_robustness": 0.0, "seed": 3})


def test_a_cpu_computes_no_part_of_weight_zero():
    given = trainings(Path(), *MIXED)
    programs = programs_of(given, join_methods=False)
    assert [list(program) for program in programs] == [[0, 2], [1]]
    assert programs[0][2] is given[2]


def test_joined_methods_are_one_program_with_the_results_of_several(tmp_path):
    given = trainings(tmp_path, *MIXED)
    (program,) = programs_of(given, join_methods=True)
    assert list(program) == [0, 1, 2]
    dataset = data.load("digits")
    together = train(list(program.values()), dataset.train, dataset.validation)
    for alone, beside in zip(given, together, strict=True):
        (own,) = train(
            [replace(alone, folder=tmp_path / "alone" / alone.folder.name)], dataset.train, dataset.validation
        )
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
            own.parameters,
            beside.parameters,
        )


def test_methods_that_cannot_join_are_programs_one_after_the_other():
    given = trainings(Path(), {"beta_robustness": 0.5}, {"sam_rho": 0.1, "beta_robustness": 0.0})
    assert [list(program) for program in programs_of(given, join_methods=True)] == [[0], [1]]


@pytest.mark.parametrize(
    ("family", "backend", "pays"),
    [
        ("ecg_lsnn", "gpu", True),
        ("speech_lsnn", "gpu", True),
        ("cnn", "gpu", False),
        ("ecg_lsnn", "cpu", False),
        ("cnn", "cpu", False),
    ],
)
def test_methods_are_joined_where_more_models_take_little_longer(family, backend, pays, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    point = family_named(family).make()
    network = family_named(family).network(point, data.blank(point["dataset"]))
    assert joining_pays(network) == pays
