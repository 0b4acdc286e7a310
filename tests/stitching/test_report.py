"""Heat maps and pages of stitching experiments, from made-up numbers."""

import numpy as np
import pytest

from jaxrobust.errors import InputError
from jaxrobust.figures.html_page import Picture, write_page
from jaxrobust.figures.stitching.kernels import draw_kernels
from jaxrobust.figures.tables import Numbers, Table
from jaxrobust.stitching.rank import blockwise_largest
from jaxrobust.stitching.stitched import Cut


def stitch(pair, cut, n):
    kernel = {"entries": np.eye(n).tolist(), "largest": 64, "shape": [n, n]}
    return {"pair": pair, "cut": Cut.at(cut), "repeat": 0, "kernel": kernel}


def test_a_heat_map_per_pair_and_cut_even_where_one_is_missing(tmp_path):
    points = [stitch("N→R", "relu1", 3), stitch("N→R", "relu2", 4), stitch("R→N", "relu1", 3)]
    paths, caption = draw_kernels(points, tmp_path, "few")
    assert [path.name for path in paths] == ["few_kernels.png", "few_kernels.pdf", "few_kernels.txt"]
    assert "closed form" in caption
    trained = {**points[0], "method": "any"}
    assert "N → R: trained; R → N: closed form." in draw_kernels([*points, trained], tmp_path, "both")[1]
    with pytest.raises(InputError, match="need stitched points"):
        draw_kernels([], tmp_path, "none")


def test_a_page_escapes_what_it_is_given_and_needs_no_other_file(tmp_path):
    (tmp_path / "a.png").write_bytes(b"picture")
    table = Table("A < B", ["name", "value"], [["**N & R**", "1"]], "a note")
    path = write_page(
        tmp_path, "page", "a <title>", [Picture(tmp_path / "a.png", "it's")], Numbers([table], [], "")
    )
    page = path.read_text()
    assert "<h1>a &lt;title&gt;</h1>" in page
    assert "<h2>A &lt; B</h2>" in page
    assert "<td><b>N &amp; R</b></td><td>1</td>" in page
    assert "data:image/png;base64,cGljdHVyZQ==" in page
    assert '<p class="note">a note</p>' in page


def test_large_matrices_keep_the_largest_entry_of_each_block():
    kernel = np.zeros((130, 5))
    kernel[100, 3] = -7
    small = blockwise_largest(kernel, 64)
    assert small.shape == (64, 5)
    assert small.min() == -7
    assert np.count_nonzero(small) == 1
    np.testing.assert_array_equal(blockwise_largest(kernel[:3], 64), kernel[:3])
    with pytest.raises(InputError, match="at least 1 row"):
        blockwise_largest(kernel, 0)
