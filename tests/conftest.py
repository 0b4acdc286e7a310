"""Options of the test suite."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--lsf",
        action="store_true",
        help="run the tests of the real LSF; on a login node, it submits small jobs",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--lsf"):
        return
    for item in items:
        if item.get_closest_marker("lsf"):
            item.add_marker(pytest.mark.skip(reason="needs a real LSF: pytest --lsf on a login node"))
