"""Which grid points train in one program: read off the trainings as they are built."""

import pytest

from jaxrobust.studies.parameter_noise.catalogue import FAMILIES, digits_mlp, family_named


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
