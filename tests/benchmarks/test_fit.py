"""The exponents of the scaling benchmark."""

from __future__ import annotations

import pytest

from benchmarks.scaling import fit, page

DECADES = [1, 10, 100, 1_000]


@pytest.mark.parametrize("wanted", [-1.0, 0.0, 0.5, 1.0, 2.0])
def test_exponent__of_a_power_law_is_its_power(wanted: float) -> None:
    values = [3.7 * size**wanted for size in DECADES]

    assert fit.exponent(DECADES, values) == pytest.approx(wanted)


def test_exponent__of_values_that_scatter_is_near() -> None:
    values = [1.1, 9.0, 108.0, 950.0]

    assert fit.exponent(DECADES, values) == pytest.approx(1.0, abs=0.03)


def test_steps__show_where_a_line_bends() -> None:
    values = [5.0, 5.0, 50.0, 500.0]

    steps = fit.steps(DECADES, values)

    assert [(step.since, step.until) for step in steps] == [
        (1, 10),
        (10, 100),
        (100, 1_000),
    ]
    assert [step.exponent for step in steps] == pytest.approx([0.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("sizes", "values"),
    [([10], [1.0]), ([10, 10], [1.0, 2.0]), ([1, 10], [0.0, 1.0])],
    ids=["one point", "one size", "nothing"],
)
def test_exponent__refuses_what_has_none(
    sizes: list[float], values: list[float]
) -> None:
    with pytest.raises(ValueError, match="An exponent needs"):
        fit.exponent(sizes, values)


def test_table__has_a_row_a_point_and_an_exponent_a_series() -> None:
    series = {"key": "add_us", "label": "add", "unit": "µs", "is_fitted": True}
    facts = [
        "machine",
        "PostgreSQL",
        "durability",
        "Python",
        "commit",
        "at",
        "turns",
        "others",
    ]

    text = page.table(
        {
            "axis": {"grows": "counters", "series": [series]},
            "points": [
                {"at": 10, "values": {"add_us": 200.0}},
                {"at": 1_000, "values": {"add_us": 20_000.0}},
            ],
            "facts": dict.fromkeys(facts, "-"),
            "seconds": 1,
            "command": "python -m benchmarks.scaling",
        }
    )

    assert "| 1,000 | 20,000 |" in text
    assert "| add, µs | 1.00 | 1.00 |" in text
