"""What a command line or a file says of grids and candidates, and what is refused of it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from nvp.errors import FieldError
from resolvers.cli.coupling_runs import _axis, _candidates


def test_an_axis_is_a_list_or_a_range() -> None:
    assert _axis("modules.a=b.net=0,0.5").path == "modules.a=b.net"
    assert _axis("gamma=0:1:3").values == (0.0, 0.5, 1.0)
    assert _axis("gamma=2:5:1").values == (2.0,)


@pytest.mark.parametrize(
    "text", ["gamma", "gamma=", "=1", "gamma=a", "gamma=0:1", "gamma=0:1:0", "gamma=0:1:999999999"]
)
def test_what_is_no_axis_is_told(text: str) -> None:
    with pytest.raises(FieldError, match="expected PATH"):
        _axis(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        '"abc"',
        '{"key": "z"}',
        '[{"key": "z"}]',
        '[{"key": "z", "module": "landau"}]',
        '[{"key": "z", "module": {}, "couplings": ["z"]}]',
        '[{"key": "z", "module": {}, "deltas": [1]}]',
        '[{"key": "z", "module": {}, "deltas": {"d": "x"}}]',
        "[" * 100_000,
    ],
)
def test_a_file_of_something_else_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "new.json"
    file.write_text(text)
    with pytest.raises(FieldError, match="as a JSON list of candidates") as caught:
        _candidates(file)
    assert "\n" not in str(caught.value)
