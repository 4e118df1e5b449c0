"""The benchmarks run, prove what they did, and make their page. What they measure is never judged here."""

from pathlib import Path
from typing import Any

import pytest

from tests.bench import page
from tests.bench.checkins import live_check_ins
from tests.bench.figures import Figure
from tests.bench.ledger import hot_fund


async def test_a_short_run_makes_the_whole_page(database: Any, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    urls = database.service_url, database.owner_url
    figures = [
        await hot_fund(*urls, rounds=1, seconds=0.2, scale=1),
        await live_check_ins(*urls, tmp_path, rounds=1, seconds=0.2, warm_up=0.1),
    ]
    assert [(figure.number, len(figure.figures), len(figure.baselines)) for figure in figures] == [
        ("B1", 1, 1),
        ("B3", 1, 1),
    ]
    for figure in figures:
        assert min(*figure.figures, *figure.baselines, figure.wait_ms(50)) > 0
        assert figure.wait_ms(50) <= figure.wait_ms(99)

    machine = await page.this_machine(database.service_url)
    page.write(figures, machine, seconds=0.2, scale=1, load=(1.25, 2), page=tmp_path / "page.md")
    page.show(figures)
    written, shown = (tmp_path / "page.md").read_text(encoding="utf-8"), capsys.readouterr().out
    for figure in figures:
        assert f"| {figure.number} | {figure.name} | {figure.figure:,.0f} |" in written
        assert figure.number in shown
    assert f"PostgreSQL {machine.postgresql}" in written
    assert "{" not in written


def test_a_figure_is_the_median_of_its_rounds_and_met_from_what_it_must_reach() -> None:
    made: dict[str, Any] = {"number": "B0", "name": "", "baseline_name": "", "aim": None, "waits": [0.001, 0.003]}
    figure = Figure(figures=[10, 90, 30], baselines=[10, 30, 15], must_reach=2, **made)
    assert (figure.figure, figure.baseline, figure.ratio, figure.ratios) == (30, 15, 2, [1, 2, 3])
    assert figure.is_met
    assert not Figure(figures=[29], baselines=[15], must_reach=2, **made).is_met
