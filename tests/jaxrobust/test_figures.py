"""The composer, the kinds of panels, and the numbers behind lines."""

import ast
from pathlib import Path

import numpy as np
import pytest

import jaxrobust.figures.kinds
from jaxrobust.errors import InputError
from jaxrobust.figures.composer import Composition, Legend, Row, draw_each
from jaxrobust.figures.kinds.curves import draw_curves, draw_history
from jaxrobust.figures.kinds.densities import draw_densities, draw_histograms
from jaxrobust.figures.kinds.dots import draw_dots
from jaxrobust.figures.kinds.landscapes import WINDOW, draw_landscapes
from jaxrobust.figures.line_tables import BOLD, LineTable, clear_best, line_numbers
from jaxrobust.figures.over_levels import draw_over_levels
from jaxrobust.figures.style import LineStyle, new_figure, plt, shades
from jaxrobust.figures.tables import Numbers, Table

KINDS = sorted(Path(jaxrobust.figures.kinds.__file__).parent.glob("*.py"))
STYLES = {"a": LineStyle("#000000"), "b": LineStyle("#ff0000", dashed=True)}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def axes():
    _, (axes,) = new_figure(1, 1, width=2, height=2)
    return axes


def plot_line(axes, height):
    axes.plot([0, 1], [height] * 2, label="line")


def plot_twice(axes, height):
    axes.plot([0, 1], [2 * height] * 2, label="twice")


def composed(**changes):
    rows = [Row(plot_line, "once"), Row(plot_twice, "twice")]
    return Composition(**{"panels": {"A": 1, "B": 3}, "rows": rows, "width": 2, "height": 3} | changes)


def test_columns_are_panels_and_rows_are_ways_to_draw():
    axes = composed().draw().axes
    assert [ax.lines[0].get_ydata()[0] for ax in axes] == [1, 3, 2, 6]
    assert [ax.get_title(loc="left") for ax in axes] == ["A", "B", "", ""]
    assert [ax.get_ylabel() for ax in axes] == ["once", "", "twice", ""]


def test_width_is_per_column():
    figure = composed(margin=0.5).draw()
    assert tuple(figure.get_size_inches()) == (4.5, 3)


def test_one_legend_has_every_label_once():
    (legend,) = composed(legend=Legend("Lines")).draw().legends
    assert [text.get_text() for text in legend.get_texts()] == ["line", "twice"]
    assert legend.get_title().get_text() == "Lines"
    assert composed().draw().legends == []


def test_panels_that_draw_themselves():
    panels = {"A": lambda ax: ax.set_xlabel("x of A"), "B": lambda ax: ax.set_xlabel("x of B")}
    figure = Composition(panels, [Row(draw_each)], width=2, height=2).draw()
    assert [ax.get_xlabel() for ax in figure.axes] == ["x of A", "x of B"]


def test_files_of_a_figure(tmp_path):
    numbers = Numbers([Table("T", ["x", "a"], [["1", "**2**"]])], [{"x": 1, "a": 2}], "What it is.")
    files = composed(panels={"": 1}).write(tmp_path / "new", "name", "The caption.", numbers)
    assert [path.name for path in files] == [
        f"name.{end}" for end in ("png", "pdf", "txt", "md", "tex", "csv")
    ]
    assert all(path.stat().st_size for path in files)
    assert files[2].read_text() == "The caption.\n"
    assert files[3].read_text().startswith("What it is.\n\n### T\n\n| x | a |")
    assert r"1 & \textbf{2} \\" in files[4].read_text()
    assert files[5].read_text() == "x,a\n1,2\n"
    assert plt.get_fignums() == []


def test_a_figure_without_numbers_has_no_tables(tmp_path):
    files = composed().write(tmp_path, "name", "The caption.")
    assert {path.suffix for path in files} == {".png", ".pdf", ".txt"}
    assert sorted(tmp_path.iterdir()) == sorted(files)


@pytest.mark.parametrize("empty", [{"panels": {}}, {"rows": []}])
def test_nothing_to_draw_is_said(empty):
    with pytest.raises(InputError, match="at least one panel and one row"):
        composed(**empty).draw()


@pytest.mark.parametrize("path", KINDS, ids=lambda path: path.stem)
def test_kinds_know_no_experiment(path):
    """They import shared style and series only, and read no grid point."""
    tree = ast.parse(path.read_text())
    ours = {
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] != "matplotlib"
    } - {"collections.abc", "dataclasses", "jaxtyping", "typing"}
    assert ours <= {"jaxrobust.figures.style", "jaxrobust.figures.series"}
    words = {"method", "level", "accuracies", "architecture", "history", "worst_case", "landscape"}
    keys = {
        node.slice.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
    }
    assert not keys & words


def test_curves_are_means_with_bands(axes):
    draw_curves(axes, {"a": {0.1: [1, 3], 0.5: [2]}}, STYLES, categorical=True)
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[0, 2], [1, 2]])
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.1", "0.5"]
    band = axes.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (1, 3)


def test_a_line_over_numbers_keeps_their_distances(axes):
    draw_curves(axes, {"b": {1.0: [0], 10.0: [1]}}, STYLES)
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [1, 10])
    assert axes.lines[0].get_linestyle() == "--"


def test_history_has_gaps_where_nothing_was_finite(axes):
    draw_history(axes, [1, 2, 3], {"a": ([0.5, None, 0.7], "#000000")})
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0.5, np.nan, 0.7])


@pytest.mark.parametrize(("largest", "scale"), [(2.0, "linear"), (20.0, "log")])
def test_landscapes_far_apart_are_logarithmic(axes, largest, scale):
    alphas = np.linspace(-1, 1, 11)
    curves = {"a": [np.ones(11)] * 2, "b": [np.full(11, largest)] * 2}
    draw_landscapes(axes, alphas, curves, STYLES, smooth=True)
    assert axes.get_yscale() == scale
    assert [len(line.get_xdata()) for line in axes.lines] == [11 - WINDOW + 1] * 2


def test_raw_landscapes_show_each_direction(axes):
    draw_landscapes(axes, np.arange(6), {"a": [np.ones(6), 3 * np.ones(6)]}, STYLES, smooth=False)
    assert [line.get_ydata()[0] for line in axes.lines] == [1, 3, 2]


def test_dots_have_the_first_method_on_top(axes):
    means = {"first": {0.0: 0.9, 0.5: 0.4}, "second": {0.0: 0.8, 0.5: 0.6}}
    draw_dots(axes, means, ["#000000", "#ff0000"], size=9, labels={0.0: "none"})
    assert axes.yaxis_inverted()
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["first", "second"]
    dots = [np.asarray(dots.get_offsets()).tolist() for dots in axes.collections[1:]]
    assert dots == [[[0.9, 0], [0.8, 1]], [[0.4, 0], [0.6, 1]]]
    assert axes.get_legend_handles_labels()[1] == ["none"]


def test_histograms_are_densities(axes):
    draw_histograms(axes, [("a", [0, 1, 3], [2, 6])], STYLES)
    heights, edges, _ = axes.patches[0].get_data()
    assert np.sum(heights * np.diff(edges)) == pytest.approx(1)
    np.testing.assert_allclose(heights, [0.25, 0.375])


def test_densities_have_gaps_below_the_lowest(axes):
    draw_densities(axes, np.arange(3), {"a": [np.array([1, 0, 1]), np.array([1, 0, 3])]}, STYLES, lowest=0.1)
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [1, np.nan, 2])


@pytest.mark.parametrize(("higher_is_better", "bold"), [(True, "b"), (False, "a")])
def test_best_line_is_bold(higher_is_better, bold):
    lines = {"a": {0.1: [0.25, 0.75]}, "b": {0.1: [1.0, 1.0], 0.2: [0.5, 0.5]}}
    lined = LineTable("P", "ζ", "accuracy", lines, higher_is_better=higher_is_better)
    numbers = line_numbers("Explained.", [lined])
    row, alone = numbers.tables[0].rows
    expected = {"a": "50.00", "b": "100.00"}
    expected[bold] = f"**{expected[bold]}**"
    assert row == ["0.1", f"{expected['a']} [25.00, 75.00]", f"{expected['b']} [100.00, 100.00]"]
    assert alone == ["0.2", "–", "50.00 [50.00, 50.00]"]  # alone in its row, nothing to be better than
    assert numbers.explanation == f"Explained. {BOLD}"
    assert numbers.records[0] == {
        "panel": "P",
        "quantity": "accuracy",
        "line": "a",
        "x": 0.1,
        "mean": 0.5,
        "smallest": 0.25,
        "largest": 0.75,
        "n": 2,
    }


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ({"a": [0.8, 0.9], "b": [0.7, 0.6]}, "a"),
        ({"a": [0.8, 0.9], "b": [0.7, 0.9]}, None),  # 0.05 ahead, with a standard error of 0.11
        ({"a": [0.8, 0.9], "b": [0.7, 0.6], "c": [0.85, 0.8]}, None),
        ({"a": [0.0, 0.0], "b": [0.0, 0.0]}, None),
        ({"a": [0.9], "b": [0.1]}, None),
        ({"a": [0.9, 0.9], "b": [0.1]}, None),
    ],
)
def test_nothing_is_bold_within_a_standard_error_or_of_one_network(values, best):
    assert clear_best(values) == best
    turned = {label: [-value for value in its] for label, its in values.items()}
    assert clear_best(turned, higher_is_better=False) == best
    shown = line_numbers(
        "", [LineTable("", "ζ", "accuracy", {label: {0.1: v} for label, v in values.items()})]
    )
    assert ["**" in cell for cell in shown.tables[0].rows[0][1:]] == [label == best for label in values]
    assert (BOLD in shown.explanation) == (best is not None)


def test_shades_differ():
    assert len({style.colour for style in shades(["0", "1", "2"]).values()}) == 3


@pytest.mark.parametrize(
    ("seeds", "values", "says"),
    [
        (
            (0,),
            [0.5],
            "one network per line, at most 1 device per network and level; one value per point, hence",
        ),
        ((0,), [0.5, 0.7], "one network per line, at most 2 devices per network and level; lines: mean"),
        ((0, 1), [0.5], "2 networks per line, at most 1 device per network and level; lines: mean"),
    ],
)
def test_the_caption_counts_networks_per_line_and_names_no_bands_without_bands(tmp_path, seeds, values, says):
    points = [
        {"method": m, "trained": f"{m}{s}", "level": 0.1, "accuracies": values, "n_test_samples": 100}
        for m in "ab"
        for s in seeds
    ]
    draw_over_levels(points, tmp_path, "own", label=lambda point: point["method"])
    caption = (tmp_path / "own.txt").read_text()
    assert says in caption
    assert "100 test samples (standard error of an accuracy up to 5.0 points)" in caption
