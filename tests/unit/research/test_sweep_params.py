"""Tables of parameters: grids in order, every field carried, nonsense refused."""

from __future__ import annotations

import pytest

from palmbot.core.types import Params
from palmbot.errors import ConfigError
from palmbot.research.sweep_params import TABLE, grid_of, params_at, params_of, table_of, unknown_fields


def test_a_table_gives_back_what_it_was_made_of() -> None:
    combinations = [Params(), Params(rsi_low=20.5, cooldown_ms=1 << 60), Params(profile=1, sl_atr=0.1)]
    table = table_of(combinations)
    assert [params_at(table, row) for row in range(3)] == combinations
    assert [params_of(table, row) for row in range(3)] == combinations


def test_compiled_code_is_given_every_field() -> None:
    """A field that is newer than the sweep fails here: teach the sweep what it means, or leave it to the replay."""
    table = table_of([Params(*(default + 1 + place for place, default in enumerate(Params._field_defaults.values())))])
    replayed = {name: Params._field_defaults[name] for name in unknown_fields()}
    assert params_of(table, 0) == params_at(table, 0)._replace(**replayed)
    assert params_at(table, 0) != Params()
    assert unknown_fields() == ()


def test_a_grid_runs_through_its_last_axis_fastest() -> None:
    table = grid_of(Params(tp_ppm=7), {"rsi_low": [20.0, 30.0], "sl_ppm": [1, 2, 3]})
    assert table.dtype == TABLE
    assert table["rsi_low"].tolist() == [20.0] * 3 + [30.0] * 3
    assert table["sl_ppm"].tolist() == [1, 2, 3] * 2
    assert set(table["tp_ppm"].tolist()) == {7}


def test_a_grid_without_axes_is_one_combination() -> None:
    assert params_at(grid_of(Params(), {}), 0) == Params()


@pytest.mark.parametrize(
    ("code", "axes"),
    [
        ("SWEEP_NO_SUCH_FIELD", {"rsi_lo": [1.0]}),
        ("SWEEP_EMPTY_AXIS", {"rsi_low": []}),
        ("SWEEP_NOT_WHOLE", {"sl_ppm": [10_000.5]}),
    ],
)
def test_an_axis_that_means_nothing_is_refused(code: str, axes: dict[str, list[float]]) -> None:
    with pytest.raises(ConfigError, match=code):
        grid_of(Params(), axes)
