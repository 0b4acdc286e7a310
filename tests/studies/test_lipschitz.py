"""The comparison of Lipschitz networks: its grid, a training with certificate and attacks, its table."""

import csv
import importlib
import io
from pathlib import Path

import numpy as np
import pytest

import datajuicer as dj
from jaxrobust.cli.experiments import evaluate, load_experiments, plan_experiment
from jaxrobust.criteria import Hinge
from jaxrobust.errors import InputError
from jaxrobust.figures.lipschitz.comparison import compare, comparison_table
from jaxrobust.figures.lipschitz.critics import draw_critics, wasserstein_table
from jaxrobust.figures.lipschitz.published_tables import published_tables
from jaxrobust.measures.wasserstein import ShiftedGaussians
from jaxrobust.studies.lipschitz.critics import critics
from jaxrobust.studies.lipschitz.protocols import PARAMETERIZATIONS, TASKS, comparison, digits_comparison
from jaxrobust.studies.lipschitz.robustness import CURVE, robustness_sweep
from jaxrobust.studies.stages import finished

ROOT = Path(__file__).parents[2]
MEASURED = ("clean", "certified", "pgd", "fgsm", "square")


def test_the_grid_of_the_published_tables():
    grid = comparison(TASKS["mnist"], ("fc", "small", "large"), tuple(PARAMETERIZATIONS)[:6])
    assert len(grid) == 65
    svcm = dj.query(grid, "*", where={"parameterization": "SVCM", "layout": "small"})[0]
    assert svcm["optimizer"].projection.images == (("conv1/kernel", (14, 14)), ("conv2/kernel", (7, 7)))
    assert svcm["optimizer"].every == 100
    fixed = dj.query(grid, "*", where={"parameterization": "BCOP-Fixed"})[0]
    assert fixed["trainable"][0] == (r"conv\d+/kernel/.*", False)
    assert fixed["criterion"] == Hinge(1.5 * 2**0.5)
    rates = fixed["schedule"].rates(0, 200, n_samples=128, batch_size=128)
    np.testing.assert_allclose(rates[[0, 59, 199]], [9.6235e-4, 1e-4, 4.6416e-7], rtol=1e-4)


def test_the_short_column_of_cifar10_is_the_published_protocol_with_fewer_epochs():
    short = load_experiments(["lipschitz_cifar10_short"], ROOT / "experiments")["lipschitz_cifar10_short"]
    grid = short.train_grid()
    assert [point["parameterization"] for point in grid] == ["BCOP", "RKO"]
    assert len({point["key"] for point in dj.planned(grid, "train", "key")("{*}")}) == 2
    published = comparison(TASKS["cifar10"], ("small",), ("BCOP", "RKO"), seeds=(0,))
    for ours, theirs in zip(grid, published, strict=True):
        assert {name for name in ours if ours[name] != theirs[name]} == {"schedule"}
        schedules = ours["schedule"], theirs["schedule"]
        lengths = [each.n_steps(n_samples=45_000, batch_size=128) for each in schedules]
        last = [
            each.rates(n - 1, 1, n_samples=45_000, batch_size=128)[0]
            for each, n in zip(schedules, lengths, strict=True)
        ]
        assert lengths[0] < lengths[1] / 4
        assert last[0] == pytest.approx(last[1], rel=1e-3)
    said = importlib.import_module(type(short).__module__).__doc__ or ""
    assert f"{grid[0]['schedule'].n_epochs:g} epochs of 200" in said


def test_an_unknown_method_is_refused():
    with pytest.raises(InputError, match=r"no method 'BCOB'.*Did you mean 'BCOP'"):
        comparison(TASKS["mnist"], ("small",), ("BCOB",))


def point(method, seed=0, **numbers):
    robustness = dict.fromkeys(("clean", "certified", "pgd", "fgsm"), 0.5) | {"square": None, "constant": 1.0}
    return {
        "dataset": "mnist",
        "layout": "small",
        "parameterization": method,
        "seed": seed,
        "radius": 1.58,
        "schedule": TASKS_SCHEDULE,
        "data_source": "MNIST",
        "robustness": robustness | numbers,
    }


TASKS_SCHEDULE = comparison(TASKS["digits"], ("small",), ("BCOP",), seeds=(0,), n_epochs=2)[0]["schedule"]


def test_the_table_has_deviations_missing_cells_and_published_rows():
    points = [point("BCOP", clean=0.97), point("BCOP", 1, clean=0.99), point("AOL")]
    table = comparison_table(points, "mnist")
    assert table.title == "Table 1, mnist at radius 1.58"
    assert table.rows[0][:5] == ["small", "BCOP", "ours", "2", "98.00±1.00"]
    assert table.rows[0][8] == "–"
    assert table.rows[1][:6] == ["small", "BCOP", "published", "5", "97.54", "45.84"]
    assert table.rows[2][:4] == ["small", "AOL", "ours", "1"]  # nothing was published of it
    assert (
        "2 epochs (shortened from 200), learning rate 2.15e-05 times 0.0215 per epoch, seeds 0, 1"
        in table.note
    )
    # Every published cell stands there, with the one of ours that is still to be computed.
    assert len([row for row in table.rows if row[2] == "published"]) == 13
    not_run = [row for row in table.rows if row[4] == "not run"]
    assert len(not_run) == 12
    assert ["large", "BCOP", "ours", "0", *["not run"] * 6] in not_run
    own = comparison_table(points, "digits")
    assert [row[2] for row in own.rows] == ["ours", "ours"]
    assert own.title == "digits at radius 1.58"


def test_the_files_of_the_comparison_tell_ours_from_published(tmp_path):
    files = compare(
        [{**point("BCOP"), "mismatch": 0.0, **stored("robustness", curve=[0.5] * len(CURVE))}], tmp_path, "c"
    )
    endings = (".md", ".tex", ".csv")
    texts = {path.suffix: path.read_text() for path in files if path.name in {f"c{e}" for e in endings}}
    assert set(texts) == set(endings)
    rows = list(csv.DictReader(io.StringIO(texts[".csv"])))
    published = {
        r["layout"]: r for r in rows if (r["source"], r["parameterization"]) == ("published", "BCOP")
    }
    assert float(published["small"]["certified"]) == pytest.approx(0.4584)
    assert [r["clean"] for r in rows if r["source"] == "ours"] == ["0.5"]
    assert "| small | BCOP | published | 5 | 97.54 |" in texts[".md"]
    assert "small & BCOP & published & 5 & 97.54 & 45.84" in texts[".tex"]
    for suffix in (".md", ".tex"):
        assert "not run" in texts[suffix]


def test_each_published_table_is_a_csv_of_its_own(tmp_path):
    numbers = stored("robustness", curve=[0.5] * len(CURVE))["robustness"]
    trials = [
        {**point("BCOP", seed), "robustness": numbers | {"clean": clean}, "mismatch": 0.0}
        | {"dataset": "cifar10", "layout": "large", "small": {"certified": 0.63}}
        for seed, clean in enumerate((0.72, 0.74))
    ]
    files = compare(trials, tmp_path, "c", published_tables(trials))
    tables = {path.name: read_csv(path) for path in files if path.suffix == ".csv"}
    assert sorted(tables) == [
        "c.csv",
        "c_table_1_cifar10_at_radius_1_58.csv",
        "c_table_3_cifar10.csv",
        "c_table_7_cifar10.csv",
        "c_table_8_cifar10.csv",
        "c_tables_2_and_3_cifar10.csv",
    ]
    at_small = {row["certified_at_small_radius"] for row in tables["c.csv"]} - {""}
    assert sorted(map(float, at_small)) == pytest.approx([0.5367, 0.6297, 0.63])
    first = {row["Layout"] + row["Method"] + row["Source"]: row for row in tables[sorted(tables)[1]]}
    assert first["largeBCOPours"]["Clean"] == "73.00"
    assert first["largeBCOPours"]["Clean deviation"] == "1.00"
    assert first["largeBCOPpublished"]["Clean"] == "72.41"
    assert (first["smallRKOours"]["Trials"], first["smallRKOours"]["PGD"]) == ("0", "")
    others, decisions = tables["c_tables_2_and_3_cifar10.csv"], tables["c_table_3_cifar10.csv"]
    assert [row["Certified"] for row in others if row["Network"] == "KW-ResNet"] == ["51.96"]
    assert [row["Certified"] for row in others if row["Network"] == "KW-Small, as attacked"] == [""]
    found = {(row["Network"], row["Source"]): row["Boundary"] for row in decisions}
    assert (found["BCOP-Large", "published"], found["BCOP-Large", "ours"]) == ("71.2", "")
    ablation = {(row["Network"], row["Source"]): row for row in tables["c_table_7_cifar10.csv"]}
    assert ablation["BCOP-Fixed-Large", "published"]["Certified"] == "27.43"
    assert set(ablation["BCOP-Fixed-Large", "ours"].values()) == {"BCOP-Fixed-Large", "ours", ""}
    small = {row["Network"]: (row["Ours"], row["Published"]) for row in tables["c_table_8_cifar10.csv"]}
    assert small == {"BCOP-Large": ("63.00", "62.97"), "FC": ("", "53.67")}
    assert not any("not run" in path.read_text() for path in files if path.suffix == ".csv")


def read_csv(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


def stored(name, **numbers):
    more = dict.fromkeys(("certified_by_last_layer", "certified_of_attacked", "mean_radius"), 0.5)
    return {name: point("BCOP", **more, **numbers)["robustness"]}


def test_the_published_tables_hold_ours_beside_theirs_and_those_of_others():
    numbers = {"clean": 0.7241, "certified": 0.5872, "pgd": 0.6439, "fgsm": 0.6453}
    points = [{**point("BCOP", **numbers), "dataset": "cifar10", "layout": "large", "mismatch": 0.0}]
    points.append({**points[0], "parameterization": "RK-L2NE"})
    points[0]["small"] = {"certified": 0.63}
    others, decisions, ablation, small = published_tables(points)
    assert others.rows[0] == ["BCOP-Large", "ours", "72.41", "58.72", "64.39", "64.53"]
    assert others.rows[1] == ["BCOP-Large", "published", "72.41", "58.72", "64.39", "64.53"]
    assert others.rows[2] == ["BCOP-Small", "ours", *["not run"] * 4]
    assert ["KW-ResNet", "Wong et al. 2018", "61.20", "51.96", "–", "–"] in others.rows
    assert ["BCOP-Large", "published", "77.6", "71.2", "77.2"] in decisions.rows
    assert ["BCOP-Large", "ours", *["not run"] * 3] in decisions.rows
    named = {(row[0], row[1]): row[2:] for row in ablation.rows}
    assert named["RK-L2NE-Large", "ours"] == ["72.41", "58.72", "64.39", "64.53"]
    assert named["BCOP-Fixed-Large", "ours"] == ["not run"] * 4
    assert named["BCOP-Fixed-Large", "published"] == ["47.14", "27.43", "41.00", "41.07"]
    assert len(named) == 12
    assert small.rows == [["BCOP-Large", "63.00", "62.97"], ["FC", "not run", "53.67"]]
    assert "0.1" in small.title
    numbers_of = [table.title.partition(",")[0] for table in published_tables(points)]
    assert numbers_of == ["Tables 2 and 3", "Table 3", "Table 7", "Table 8"]
    assert published_tables([{**points[1], "dataset": "digits"}]) == []  # nothing was published of the digits


def test_trials_are_aggregated_as_published():
    trials = [0.7211, 0.7213, 0.7241, 0.7269, 0.7271]  # mean and population deviation by hand
    table = published_tables(
        [{**point("BCOP", i, clean=c), "layout": "large", "mismatch": 0.0} for i, c in enumerate(trials)]
    )[0]
    assert table.rows[0][2] == "72.41±0.26"


def test_critics_beside_the_published_distances(tmp_path):
    pair = ShiftedGaussians()
    found = {"distance": 2.9, "standard_error": 0.1, "constant": 1.0, "estimates": [1.0, 2.0, 2.9]}
    grid = [{**p, **found} for p in critics([pair], ["RKO", "BCOP"])]
    rows = wasserstein_table(grid).rows
    assert rows[0] == ["Shifted Gaussians", "MaxMin", "ours", "0.001", "–", "2.90", "2.90", "0.10", "3"]
    stl = [row for row in rows if row[:2] == ["STL-10 and generated", "MaxMin"]]
    assert stl[0][2:] == ["ours", "–", *["not run"] * 5]
    assert stl[1][2:] == ["published", "0.0001", "7.39±0.31", "8.95±0.12", "9.91±0.11", "–", "–"]
    files = draw_critics(grid, tmp_path, "critics")
    records = list(csv.DictReader(io.StringIO((tmp_path / "critics.csv").read_text())))
    assert {path.suffix for path in files} >= {".md", ".tex", ".csv"}
    assert {record["source"] for record in records} == {"ours", "published"}
    read = read_csv(tmp_path / "critics_table_4_wasserstein_distances.csv")
    table = {(row["Distributions"], row["Activation"], row["Source"]): row for row in read}
    assert table["Shifted Gaussians", "MaxMin", "ours"]["RKO"] == "2.90"
    stl = table["STL-10 and generated", "MaxMin", "published"]
    assert (stl["RKO"], stl["RKO deviation"], stl["Rate"]) == ("8.95", "0.12", "0.0001")
    assert set(table["STL-10 and generated", "MaxMin", "ours"].values()) == {
        "STL-10 and generated",
        "MaxMin",
        "ours",
        "",
    }
    experiment = importlib.import_module("experiments.lipschitz.lipschitz_critics").lipschitz_critics()
    assert len(experiment.train_grid()) == 12
    with pytest.raises(InputError, match="needs finished critics"):
        draw_critics([{"dataset": "mnist"}], tmp_path, "critics")


def test_critics_of_generated_images_in_the_table_and_the_figure(tmp_path):
    module = importlib.import_module("experiments.lipschitz.lipschitz_image_critics_cifar10")
    experiment = module.lipschitz_image_critics_cifar10()
    (generator,) = experiment.train_grid()
    grid = experiment.critic_grid({"train": [generator]})
    assert len(grid) == 120
    found = {"standard_error": 0.1, "constant": 2.0, "estimates": [1.0, 2.0], "steps": [1, 2]}
    chosen = [
        {**p, **found, "distance": 2.0 + p["learning_rate"], "data_source": "CIFAR-10"}
        for p in dj.query(grid, "*", where={"seed": 0, "parameterization": "BCOP"})
    ]
    rows = [row for row in wasserstein_table(chosen).rows if row[0] == "CIFAR-10 and generated"]
    assert [row[2:4] for row in rows[:4]] == [["ours", rate] for rate in ("1e-05", "0.0001", "0.001", "0.01")]
    assert [row[6] for row in rows[:4]] == ["2.00", "2.00", "2.00", "2.01"]
    assert [row[2] for row in rows[8:]] == ["published", "published"]
    assert "not run" not in str(rows)
    assert (tmp_path / "critics.png") in draw_critics([generator, *chosen], tmp_path, "critics")


@pytest.mark.filterwarnings("ignore::datajuicer.errors.StoreWarning")
def test_shipped_critics_of_generated_images_rank_activations_as_on_the_sphere():
    critics = [point for point in shipped("lipschitz_image_critics") if "distance" in point]
    of_mnist = [row for row in wasserstein_table(critics).rows if row[0] == "MNIST and generated"]
    found = {(row[1], row[3]): list(map(float, row[5:8])) for row in of_mnist}
    assert len(found) == 4
    for rate in ("0.0001", "0.001"):
        *maxmin, error = found["MaxMin", rate]
        *relu, _ = found["ReLU", rate]
        assert min(maxmin) > max(relu) + 3 * error


@pytest.mark.slow
def test_digits_from_training_to_table(tmp_path):
    methods = ("BCOP", "RKO", "RK-L2NE", "SVCM")
    grid = digits_comparison(methods)
    grid = dj.run(grid, "train", store_key="*", cache_dir=tmp_path, progress=False)("{*}")
    points = robustness_sweep(grid, n_steps=50, n_queries=200, cache_dir=tmp_path, progress=False)
    found = {p["parameterization"]: p["robustness"] for p in points}
    for each in found.values():
        assert each["certified"] <= min(each["pgd"], each["fgsm"], each["square"]) <= each["clean"]
        assert len(each["curve"]) == len(CURVE)
        assert each["curve"][0] <= each["clean"] + 1e-9
    assert found["BCOP"]["constant"] == pytest.approx(1, abs=1e-5)
    assert all(abs(value - 1) < 1e-4 for value in found["BCOP"]["constants"].values())
    assert found["BCOP"]["clean"] >= 0.95
    assert found["BCOP"]["certified"] >= 0.45
    assert found["RK-L2NE"]["certified"] <= found["RKO"]["certified"]
    # BCOP leads in the mean of five seeds, by 2.3 points (next test); one seed decides nothing. Of one the
    # difference deviates by 3.7 points, and another processor's rounding already trains another network.
    assert found["RKO"]["certified"] <= found["BCOP"]["certified"] + 0.037
    files = compare(points, tmp_path, "comparison")
    assert {path.suffix for path in files} == {".png", ".pdf", ".txt", ".md", ".tex", ".csv"}


def shipped(name):
    """The evaluated points of an experiment, from the records in sessions/."""
    experiment = load_experiments([name], ROOT / "experiments")[name]
    how = {"cache_dir": ROOT / "sessions", "run_mode": "load"}
    stages = plan_experiment(experiment, experiment.train_grid(), {}, how["cache_dir"])
    return evaluate(experiment, finished(stages, **how), **how)


@pytest.mark.filterwarnings("ignore::datajuicer.errors.StoreWarning")
def test_bcop_certifies_more_than_rko_in_the_mean_of_five_seeds():
    points = shipped("lipschitz_digits_seeds")
    found = {
        method: [p["robustness"]["certified"] for p in points if p["parameterization"] == method]
        for method in ("BCOP", "RKO")
    }
    assert [len(values) for values in found.values()] == [5, 5]
    assert np.mean(found["BCOP"]) >= 0.45
    assert np.mean(found["BCOP"]) > np.mean(found["RKO"]) + 0.02


@pytest.mark.filterwarnings("ignore::datajuicer.errors.StoreWarning")
def test_the_page_shows_the_critics_of_the_records():
    page = (ROOT / "docs" / "lipschitz.md").read_text()
    rows = [row for row in wasserstein_table(shipped("lipschitz_critics")).rows if row[2] == "ours"]
    found = {(row[0], row[1]): row[4:7] for row in rows}
    for activation in ("MaxMin", "ReLU"):
        assert f"| {activation} | {' | '.join(found['Point and sphere', activation])} |" in page
        assert set(found["Shifted Gaussians", activation]) <= {"2.96", "2.97"}


@pytest.mark.filterwarnings("ignore::datajuicer.errors.StoreWarning")
def test_the_page_says_what_deviating_kernels_do():
    page = " ".join((ROOT / "docs" / "lipschitz.md").read_text().split())
    points = {point["line"]: point for point in shipped("lipschitz_parameters")}

    def percent(line, key, x):
        found = points[line][key][x]
        return f"{100 * np.mean(found['certified'] if key == 'certified' else found):.0f} %"

    bcop, rko = "BCOP (Lipschitz)", "RKO (Lipschitz)"
    standard = percent("Standard", "mismatched", 0.3)
    assert percent(bcop, "mismatched", 0.3) == percent(rko, "mismatched", 0.3)
    assert (
        f"({percent(bcop, 'mismatched', 0.3)} at ζ = 0.3, where the standard network has {standard})" in page
    )
    attacked = [percent(line, "attacked", 0.1) for line in (bcop, rko, "Beta")]
    assert "{} (BCOP) and {} (RKO) are right".format(*attacked) in page
    assert f"(Beta) {attacked[2]}" in page
    for line, name in ((bcop, "BCOP"), (rko, "RKO")):
        before, after = (percent(line, "certified", level) for level in (0.0, 0.1))
        assert f"from {before.removesuffix(' %')} to {after} ({name})" in page


@pytest.mark.filterwarnings("ignore::datajuicer.errors.StoreWarning")
@pytest.mark.parametrize("name", ["lipschitz_mnist_short", "lipschitz_cifar10_short"])
def test_the_page_shows_the_shortened_columns_of_the_records(name):
    points = shipped(name)
    page = (ROOT / "docs" / "lipschitz.md").read_text()
    found = {point["parameterization"]: point["robustness"] for point in points}
    for method, each in found.items():
        cells = [f"{100 * each[key]:.2f}" for key in ("clean", "certified", "pgd", "fgsm")]
        assert f"| {method} | {' | '.join(cells)} | {each['constant']:.5f} |" in page
        assert each["certified_of_attacked"] <= min(each["pgd"], each["fgsm"])
    certified = [each["certified"] for each in found.values()]
    assert certified == sorted(certified, reverse=True)  # BCOP > RKO > OSSN > SVCM, as published


@pytest.mark.filterwarnings("ignore::datajuicer.errors.StoreWarning")
@pytest.mark.parametrize("name", ["lipschitz_digits", "lipschitz_digits_seeds"])
def test_the_page_shows_the_tables_of_the_records(name):
    points = shipped(name)
    found = {p["parameterization"]: [] for p in points}
    for point in points:
        found[point["parameterization"]].append(point["robustness"])
    page = (ROOT / "docs" / "lipschitz.md").read_text()
    for method, each in found.items():
        columns = [np.array([100 * it[key] for it in each]) for key in MEASURED]
        if name == "lipschitz_digits":
            cells = [f"{values[0]:.2f}" for values in columns]
        else:
            assert len(each) == 5
            cells = [f"{values.mean():.2f}±{values.std():.2f}" for values in columns]
        row = method if name == "lipschitz_digits" else f"{method}, five seeds"
        constant = max(it["constant"] for it in each)
        assert f"| {row} | {' | '.join(cells)} | {constant:.5f} |" in page
        assert all(it["certified"] <= min(it["pgd"], it["square"]) <= it["clean"] for it in each)
