"""Users' methods, criteria, perturbations and attacks by name; files of users; the console script."""

import sys
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import datajuicer as dj
from jaxrobust import attacks, criteria, data, perturbations
from jaxrobust.attacks.input_attack import attack_inputs, fgsm
from jaxrobust.attacks.parameter_attack import ParameterAttack, attack
from jaxrobust.attacks.registry import ATTACKS
from jaxrobust.cli import console
from jaxrobust.cli.experiments import load_experiments
from jaxrobust.cli.imports import import_files
from jaxrobust.cli.words import read_words
from jaxrobust.errors import InputError
from jaxrobust.networks.mlp import MLP
from jaxrobust.studies.own_points import described_settings, identified
from jaxrobust.studies.parameter_noise.catalogue import digits_mlp
from jaxrobust.studies.training_points import training_point
from jaxrobust.studies.typed_words import configured, words_of
from jaxrobust.training import methods
from jaxrobust.training.methods.registry import METHODS
from jaxrobust.training.optimizers import SGD
from jaxrobust.training.schedule import Phases


@dataclass(frozen=True)
class Tilt:
    """A method.

    Attributes:
        weight: How much the squared logits
            count.
        kind: A word.
    """

    weight: float = 0.1
    kind: str = "square"

    def loss(self, objective, parameters, key):
        loss, outputs = objective.loss(parameters, key)
        return loss + self.weight * jnp.mean(outputs.logits**2), outputs


@dataclass(frozen=True)
class Absolute:
    is_classification: ClassVar[bool] = False

    def loss(self, outputs, labels):
        return jnp.mean(jnp.abs(outputs - labels))

    def score(self, outputs, labels):
        return -jnp.mean(jnp.abs(outputs - labels), axis=1)


@dataclass(frozen=True)
class Shift:
    by: float = 0.5

    def perturb(self, key, tree):
        return jax.tree.map(lambda leaf: leaf + self.by, tree)


@dataclass(frozen=True)
class Doubling:
    factor: float = 2.0

    def search(self, loss, parameters, key):
        return jax.tree.map(lambda leaf: self.factor * leaf, parameters)


@dataclass(frozen=True)
class Uphill:
    size: float = 0.1

    def __call__(self, loss, inputs, key):
        return jnp.clip(inputs + self.size * jnp.sign(jax.grad(loss)(inputs)), 0, 1)


@dataclass
class Thawed:
    loss = None


@dataclass(frozen=True)
class Needy:
    weight: float

    def loss(self, objective, parameters, key): ...


@pytest.fixture(autouse=True)
def _names_as_before(monkeypatch, tmp_path):
    for registry in (METHODS, criteria.CRITERIA, perturbations.PERTURBATIONS, ATTACKS):
        monkeypatch.setattr(registry, "named", dict(registry.named))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def point(**settings):
    network = MLP(n_in=64, n_hidden=(8,), n_out=10)
    return training_point(network, "digits", schedule=Phases((1.0,), (1e-3,)), **settings)


def test_a_registered_method_is_typed_by_name_and_its_settings_by_path():
    methods.register("tilt", Tilt)
    (changed,) = configured([point()], {"method": "tilt", "method.weight": "0.3"})
    assert changed["method"] == Tilt(0.3)
    assert jax.tree.leaves(changed["method"]) == [0.3]  # words are no numbers of a program
    rows = dict(described_settings(changed))
    assert rows["-method.weight=0.3"] == "How much the squared logits count."
    assert "tilt" in rows["-method"]
    assert "-method.weight=0.3" in set(words_of(changed))


def test_the_key_holds_class_and_settings():
    keys = {
        dj.planned([point(method=method)], "train", "key")("{*}")[0]["key"]
        for method in (Tilt(), Tilt(0.3), Tilt(kind="cube"), methods.Standard())
    }
    assert len(keys) == 4


def test_built_in_settings_have_names_too():
    (changed,) = configured(
        [point()], {"optimizer": "sgd", "method": "beta", "method.attack.relative_size": "0.2"}
    )
    assert changed["optimizer"] == SGD()
    assert changed["method"].attack.relative_size == 0.2
    with pytest.raises(InputError, match=r"no method 'betta'.*Did you mean 'beta'"):
        configured([point()], {"method": "betta"})


def test_criteria_perturbations_and_attacks():
    criteria.register("absolute", Absolute)
    perturbations.register("shift", Shift)
    attacks.register("doubling", Doubling)
    words = {"criterion": "absolute", "method.attack": "doubling", "method.attack.factor": "3"}
    (changed,) = configured([point(method=METHODS.find("beta"))], words)
    assert changed["criterion"] == Absolute()
    assert changed["method"].attack == Doubling(3.0)
    assert perturbations.PERTURBATIONS.find("shift").perturb(None, jnp.zeros(())) == 0.5


def test_a_perturbation_of_ones_own_is_trained_with_by_its_name():
    perturbations.register("shift", Shift)
    words = {"method": "perturbed_forward", "method.perturbation": "shift", "method.perturbation.by": "0.25"}
    (changed,) = configured([point()], words)
    assert changed["method"].perturbation == Shift(0.25)
    rows = dict(described_settings(changed))
    assert rows["-method.perturbation"].endswith(", shift")
    assert "-method.perturbation.by=0.25" in rows
    keys = [dj.planned([p], "train", "key")("{*}")[0]["key"] for p in (changed, point())]
    assert len(set(keys)) == 2


def test_an_attack_of_ones_own_takes_the_place_of_the_librarys():
    found = attack(jnp.sum, jnp.ones(2), jax.random.key(0), Doubling())
    np.testing.assert_array_equal(found.parameters, [2.0, 2.0])
    assert found.losses.tolist() == [2.0, 4.0]
    assert bool(found.moved)
    assert bool(found.is_finite)
    assert isinstance(ATTACKS.find("parameters"), ParameterAttack)


def test_an_attack_on_inputs_of_ones_own_is_measured_like_the_librarys():
    inputs, labels = jnp.array([[0.4], [0.9], [0.5]]), jnp.array([0, 1, 0])

    @jax.jit
    def found(attack):
        return attack_inputs(
            lambda x: jnp.concatenate([0.5 - x, x - 0.5], -1), inputs, labels, jax.random.key(0), attack
        )

    attacks.register("uphill", Uphill)
    mine, ours = found(Uphill(0.2)), found(fgsm(0.2, keep="last"))
    np.testing.assert_allclose(mine.inputs, ours.inputs, atol=1e-6)
    assert mine.fooled.tolist() == ours.fooled.tolist() == [True, False, True]
    np.testing.assert_allclose(mine.losses, ours.losses, rtol=1e-6)
    assert mine.has_gradient.tolist() == mine.moved.tolist() == [True, True, True]


def test_what_keeps_no_contract_is_refused():
    @dataclass(frozen=True)
    class Inner:
        def loss(self, objective, parameters, key): ...

    refused: list[tuple[Any, str]] = [
        (Tilt(), r"must be a class decorated with @dataclass\(frozen=True\)"),
        (Thawed, "must be frozen"),
        (Shift, "needs 'loss'"),
        (Needy, "needs a default for its setting 'weight'"),
        (Inner, "cannot be imported by worker processes"),
    ]
    for settings, message in refused:
        with pytest.raises(InputError, match=message):
            methods.register("mine", settings)
    with pytest.raises(InputError, match="a method 'beta' already"):
        methods.register("beta", Tilt)
    with pytest.raises(InputError, match="is_classification"):
        criteria.register("mine", Tilt)
    with pytest.raises(InputError, match="needs search"):
        attacks.register("mine", Shift)


def test_grid_points_say_which_numbers_they_are_trained_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).random((40, 8, 8, 1))
    np.savez("mine.npz", train_inputs=images, train_labels=np.arange(40) % 10)
    flat = digits_mlp.make() | {"dataset": "mine.npz"}
    with pytest.raises(InputError, match="must say which numbers it is in a grid point: write 'mine@"):
        digits_mlp.check(flat)
    named = identified(flat)["dataset"]
    digits_mlp.check(flat | {"dataset": named})
    assert data.identify("mine.npz") == named == identified({"dataset": "mine"})["dataset"]
    typed = training_point(MLP(64, (8,), 10), "mine.npz", schedule=Phases((1.0,), (1e-3,)))
    assert typed["dataset"] == named
    assert configured([point()], {"dataset": "mine.npz"})[0]["dataset"] == named


def test_users_files(tmp_path):
    (tmp_path / "own_file_of_mine.py").write_text("ANSWER = 42")
    (tmp_path / "broken_file.py").write_text("1 / 0")
    (tmp_path / "json.py").write_text("")
    import_files([str(tmp_path / "own_file_of_mine.py")] * 2)
    assert sys.modules.pop("own_file_of_mine").ANSWER == 42
    sys.path.remove(str(tmp_path))
    for name, message in (
        ("none.py", "there is no Python file"),
        ("json.py", "a module 'json' already; rename the file"),
        ("broken_file.py", r"cannot be imported: ZeroDivisionError: division by zero\."),
    ):
        with pytest.raises(InputError, match=message):
            import_files([str(tmp_path / name)])


def test_data_dir_is_another_name_of_data_folder():
    assert read_words(["-data_dir=here"], {}).settings == {"data_folder": "here"}


def test_the_console_script(tmp_path, capsys):
    folder = tmp_path / "own"
    assert console.main(["new", "first", f"-experiments={folder}"]) == 0
    assert console.main(["new", "first", f"-experiments={folder}"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert console.main(["list", f"-experiments={folder}"]) == 0
    listed = capsys.readouterr().out
    assert all(word in listed for word in ("first", "digits_mlp", "fashion_mnist", "forward_noise_beta"))
    assert (
        console.main(["train", "-exp=first", f"-experiments={folder}", "-status", f"-sessions={tmp_path}"])
        == 0
    )
    assert "2 missing" in capsys.readouterr().out
    first = load_experiments(["first"], folder)["first"]
    evaluated = [{**point, "level": 0.2, "accuracies": [0.5, 0.6]} for point in first.train_grid()]
    assert first.visualize(evaluated, tmp_path)[0].name == "first.png"
    assert console.main(["trian"]) == 2
    assert "There is no command 'trian'. Did you mean 'train'?" in capsys.readouterr().err
    assert console.main(["train", "-experiments=/nowhere", "-status"]) == 2
    assert "there is no such folder" in capsys.readouterr().err


def test_classes_that_nobody_registered_in_this_process_become_trees():
    @dataclass(frozen=True)
    class Twice:
        factor: float = 2.0
        kind: str = "all"

        def search(self, loss, parameters, key):
            return parameters

    @dataclass(frozen=True)
    class Weighted:
        weight: float
        base: object

        def loss(self, objective, parameters, key): ...

    method = point(
        method=Weighted(0.5, methods.ParameterAttackTraining(methods.Standard(), 0.25, Twice(3.0)))
    )
    assert jax.tree.leaves(method["method"])[:2] == [0.5, 0.25]
    assert jax.tree.leaves(method["method"].base.attack) == [3.0]

    @dataclass
    class Melting:
        def loss(self, objective, parameters, key): ...

    with pytest.raises(InputError, match="The method Melting must be frozen"):
        point(method=Melting())


SCRIPT = """
from dataclasses import dataclass
import jax, jax.numpy as jnp, numpy as np
import datajuicer as dj, jaxrobust as jr
from jaxrobust.studies.evaluations.mismatch import perturbed_accuracy
from jaxrobust.studies.training_points import training_point

def init(key, shape, n_outputs):
    return {"w": jax.random.normal(key, (*shape, n_outputs))}

def apply(parameters, inputs):
    return jnp.tanh(inputs @ parameters["w"])

@dataclass(frozen=True)
class Small:
    weight: float = 0.1
    def loss(self, objective, parameters, key):
        loss, outputs = objective.loss(parameters, key)
        return loss + self.weight * jnp.mean(outputs.logits**2), outputs

@dataclass(frozen=True)
class Shift:
    by: float = 0.5
    def perturb(self, key, tree):
        return jax.tree.map(lambda leaf: leaf + self.by, tree)

if __name__ == "__main__":
    inputs = np.random.default_rng(0).normal(size=(50, 4))
    name = jr.data.register("mine", train=(inputs, (inputs[:, 0] > 0).astype(int)))
    network = jr.networks.register("mine", init=init, apply=apply)
    schedule = jr.Phases((1.0,), (1e-2,))
    one = training_point(network, name, method=Small(), schedule=schedule, batch_size=10)
    grid = dj.split([one], "seed", [0, 1])
    how = {"n_threads": 2, "cache_dir": "results", "progress": False}
    grid = dj.run(grid, "train", store_key="*", **how)("{*}")
    grid = dj.run(grid, perturbed_accuracy, store_key="accuracies", **how)("{*}", Shift(0.1), n_draws=2)
    print([len(point["accuracies"]) for point in grid])
"""


@pytest.mark.slow
def test_what_a_script_defines_itself_is_trained_in_worker_processes(run_script):
    assert run_script(SCRIPT).strip() == "[2, 2]"
