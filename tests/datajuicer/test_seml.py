"""Files of seml as grids; compared with seml itself where it is installed."""

import pytest

import datajuicer as dj
from datajuicer.grids.seml import expand

pytest.importorskip("yaml", reason="PyYAML is not installed")

FILE = """
seml: {executable: main.py, name: walking}
slurm: [{experiments_per_job: 12}]
fixed:
  general.num_epochs: 300
  optimizer: {lr: 1e-3, optimizer_type: Adam}
  noise.layer_wise: None
grid:
  general.repeat_number: {type: range, min: 0, max: 3, step: 1}
  model.conf: {type: choice, options: [LeNet5, LeNet5-BN]}
additive:
  fixed: {noise.kind: add, optimizer.lr: 5e-4}
  grid: {noise.std: {type: loguniform, min: 1e-2, max: 1e+2, num: 5}}
  clamped:
    fixed: {general.clamp: {min: -1.0, max: 1.0}}
  free:
    grid: {general.repeat_number: {type: choice, options: [7]}}
multiplicative:
  grid:
    noise: {std: {type: uniform, min: 0, max: 2, num: 3}}
    a: {type: choice, options: [1, 2], zip_id: pair}
    b: {type: choice, options: [True, "None"], zip_id: pair}
  fixed: {model.conf: LeNet5}
"""


def write(tmp_path, text):
    path = tmp_path / "experiment.yaml"
    path.write_text(text)
    return path


def test_sub_configurations_inherit_and_override(tmp_path):
    grid = dj.grid_from_seml(write(tmp_path, FILE))
    assert isinstance(grid, dj.Grid)
    assert len(grid) == 3 * 2 * 5 + 1 * 2 * 5 + 3 * 3 * 2
    clamped, free, multiplicative = grid[0], grid[30], grid[-1]
    assert clamped["general"] == {"num_epochs": 300, "clamp": {"min": -1.0, "max": 1.0}, "repeat_number": 0}
    assert clamped["optimizer"] == {"lr": 5e-4, "optimizer_type": "Adam"}
    assert clamped["noise"] == {"layer_wise": None, "kind": "add", "std": pytest.approx(0.01)}
    assert free["general"]["repeat_number"] == 7
    assert multiplicative["model"] == {"conf": "LeNet5"}
    assert multiplicative["optimizer"]["lr"] == 1e-3
    assert [(p["a"], p["b"]) for p in grid[-2:]] == [(1, True), (2, None)]
    assert sorted({p["noise"]["std"] for p in grid[40:]}) == [0, 1, 2]


def test_points_are_swept_like_any_grid(tmp_path):
    grid = dj.grid_from_seml(write(tmp_path, FILE))
    assert len(dj.split(grid, "optimizer.lr", [0.1, 0.2])) == 2 * len(grid)
    assert dj.query(grid, "noise.std", where={"general.repeat_number": 7})[0] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("fixed: {a: 1}\ngrid: {a: {type: choice, options: [1]}}", "defines 'a' twice, under fixed and grid"),
        ("fixed: {a: 1, a.b: 2}", "defines both 'a' and 'a.b'"),
        ("fixed: {a: 1}\nsub: {fixed: {a.b: 2}}", "experiment.yaml, sub defines both 'a' and 'a.b'"),
        ("fixed: {a: 1}\nfixed: {b: 1}", "the key 'fixed' stands twice"),
        ("fixed: {a: 1}\nsub: {other: {x: 1}}", "sub defines no parameters"),
        ("grid: {a: [1, 2]}", "'a' under grid needs a type"),
        ("grid: {a: {type: normal, mean: 1}}", "needs a type .choice"),
        ("grid: {a: {type: range, min: 0, max: 3}}", "missing or unexpected are step"),
        ("grid: {a: {type: range, min: x, max: 3, step: 1}}", "needs numbers"),
        (
            "grid: {a: {type: choice, options: [1], zip_id: z}, "
            "b: {type: choice, options: [1, 2], zip_id: z}}",
            "zip_id 'z' differ in number: a has 1, b has 2",
        ),
        ("random: {samples: 3, a: {type: uniform, min: 0, max: 1}}", "draws parameters at random"),
        ("- 1", "holds no experiments"),
        ("a: [1", "cannot be read as YAML"),
    ],
)
def test_clashes_are_one_sentence(tmp_path, text, sentence):
    with pytest.raises(dj.UsageError, match=sentence):
        dj.grid_from_seml(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(dj.UsageError, match=r"there is no file .*none\.yaml"):
        dj.grid_from_seml(tmp_path / "none.yaml")


CONFIGS = {
    "file": FILE,
    "flat": "seml: {executable: main.py}\nfixed: {a: 1e-3, b: None, c: [1e-3, x], d: '2'}",
    "range": "seml: {executable: main.py}\ngrid: {a: {type: range, min: 0, max: 1, step: 0.25}}",
}


@pytest.mark.parametrize("name", CONFIGS)
def test_equals_seml(name, tmp_path):
    config = pytest.importorskip("seml.experiment.config", reason="seml is not installed")
    import yaml

    content = config.convert_values(yaml.safe_load(CONFIGS[name]))
    theirs = config.generate_configs({k: v for k, v in content.items() if k not in ("seml", "slurm")})
    ours = dj.grid_from_seml(write(tmp_path, CONFIGS[name]))

    def key(point):
        return repr(sorted(flat(point)))

    def flat(point, prefix=""):
        for name, value in point.items():
            if isinstance(value, dict):
                yield from flat(value, f"{prefix}{name}.")
            else:
                rounded = round(value, 9) if isinstance(value, float) else value
                yield f"{prefix}{name}", type(value).__name__, rounded

    plain = [_python(dict(point)) for point in theirs]
    assert len(ours) == len(plain)
    assert sorted(map(key, ours)) == sorted(map(key, plain))


def _python(value):
    if isinstance(value, dict):
        return {k: _python(v) for k, v in value.items()}
    return value.item() if hasattr(value, "item") else value


def test_the_content_expands_without_a_file():
    assert expand({"grid": {"a": {"type": "choice", "options": [1, 2]}}}) == [{"a": 1}, {"a": 2}]
