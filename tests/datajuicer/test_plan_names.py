"""Which keys name a point in progress lines and errors."""

from datajuicer.running.messages import distinguishing_keys, short_label


def test_names_come_first_and_measured_values_not_at_all():
    grid = [
        {
            "seed": seed,
            "method": method,
            "level": 0.1,
            "accuracy": 0.7538461685180664 + seed,
            "trained": f"{seed:040x}",
        }
        for seed in range(3)
        for method in ("Standard", "Beta")
    ]
    assert distinguishing_keys(grid) == ("method", "seed")
    assert short_label(grid[3], keys=distinguishing_keys(grid)) == "method='Beta', seed=1"


def test_a_grid_told_apart_by_long_values_alone_is_named_by_all_it_has():
    grid = [{"x": 0.7538461685180664}, {"x": 0.6692307591438293}]
    assert distinguishing_keys(grid) == ()
    assert short_label(grid[0], keys=()) == "x=0.7538461685180664"
