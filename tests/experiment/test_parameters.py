"""The parameter file: every value has a source, or a range and a reason."""

from pathlib import Path

import pytest

from sdeiviz.experiment import ParameterError, Parameters, load
from sdeiviz.machine.costs import Costs
from sdeiviz.machine.latency import Constant, LogNormal

GOOD = """
[costs.exit]
value = 1200
unit = "ns"
source = "assumed"
range = [400, 2700]
why = "a guess"

[latency.swap]
value = 1680000
unit = "ns"
source = "a mail"
"""

CASE = """
[case.one]
what = "one of each"
m = 1
c = 1
order = "random"
resident = "costs.exit"
work = "costs.exit"
pages = "costs.exit"
latency = "latency.swap"
distribution = "constant"
window = "costs.exit"
modes = ["sync", "arm64-v4"]
expect = [0, 1]
why = "because"
"""

SWEEP = """
[sweep.exits]
case = "one"
parameter = "costs.exit"
values = [400, 2700]
modes = ["sync"]
"""


@pytest.fixture(scope="module")
def ours() -> Parameters:
    return load()


def read(directory: Path, text: str) -> Parameters:
    path = directory / "parameters.toml"
    path.write_text(text, "utf-8")
    return load(path)


def test_the_file_has_every_cost_and_no_other(ours):
    costs = {name.split(".")[1] for name in ours.values if name.startswith("costs.")}
    assert costs == set(Costs.__dataclass_fields__)
    assert ours.costs.exit == 1200


def test_what_was_published(ours):
    """Typed from the mails; a slip here would be a comparison with nothing."""
    published = ours.published
    assert published["rfcv2_c_rate"].low == published["rfcv2_c_rate"].high == 0.179
    assert f"{8_286_827_472 / 7_029_030_180 - 1:.3f}" == "0.179"
    assert (published["v1_c_rate"].low, published["v1_c_rate"].high) == (0.277, 0.286)
    assert published["natapov_halt"].low == pytest.approx(138.46 / 122.79 - 1, abs=1e-3)
    assert published["natapov_pv"].low == pytest.approx(234.35 / 122.79 - 1, abs=1e-3)
    assert str(published["natapov_pv"]) == "+90.9%"
    assert str(published["forum_2021"]) == "+41.0% .. +68.0%"


def test_what_is_derived_from_the_trace(ours):
    faults, swapping, total = 7_555, 12.7e9, 42.2e9
    assert ours["latency.rfcv2"] == pytest.approx(swapping / faults, rel=1e-3)
    assert ours["work.rfcv2"] == pytest.approx((total - swapping) / faults, rel=1e-3)
    work, latency = ours["work.rfcv2"], ours["latency.rfcv2"]
    share = (work + latency) / (2 * work + latency)
    assert share / 0.5 - 1 == pytest.approx(ours.cases["swap_rfcv2"].expect[1], abs=1e-3)


def test_the_two_notifications_add_up_to_the_order_assumed(ours):
    costs = ours.costs
    not_present = 3 * costs.exit + costs.lookup + costs.queue + costs.inject
    ready = 2 * costs.exit + costs.lookup + costs.map + costs.inject
    assert 9_000 <= not_present <= 20_000
    assert 5_000 <= ready <= 10_000


def test_an_assumption_has_a_range_and_a_reason(ours):
    for parameter in ours.values.values():
        if parameter.source == "assumed":
            assert parameter.range is not None, parameter.name
            assert parameter.why, parameter.name


def test_another_value_leaves_all_else(ours):
    other = ours.set("costs.inject", 20_000)
    assert other.costs.inject == 20_000
    assert ours.costs.inject == 1500
    assert other["costs.exit"] == ours["costs.exit"]


def test_latency_of_a_case(ours):
    assert ours.latency(ours.case("ablation"), 7) == Constant(1_680_000)
    drawn = ours.latency(ours.case("swap_rfcv2"), 7)
    assert drawn == LogNormal(1_680_000, 1.0, 36_200, 55_700_000, 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace('source = "a mail"', ""), "want source"),
        (GOOD.replace('source = "a mail"', 'source = ""'), "latency.swap: source"),
        (GOOD.replace("range = [400, 2700]", ""), "costs.exit is assumed: want a range"),
        (GOOD.replace('why = "a guess"', ""), "costs.exit is assumed: want a range, and why"),
        (GOOD.replace("value = 1200", "value = 3000"), "3000 is not in 400 to 2700"),
        (GOOD.replace("[400, 2700]", "[2700, 400]"), "2700 is more than 400"),
        (GOOD.replace("[400, 2700]", "[400]"), "want two numbers"),
        (GOOD.replace("value = 1200", 'value = "1200"'), "'1200' is not what is wanted"),
        (GOOD.replace("value = 1200", "value = true"), "True is not what is wanted"),
        (GOOD.replace("value = 1200", "value = nan"), "nan is not what is wanted"),
        (GOOD.replace("value = 1200", "value = 1200\nvalues = 1"), "no such key 'values'"),
        (GOOD.replace("value = 1200", 'value = 1200\nname = "x"'), "no such key 'name'"),
        ("costs = 1", "want tables"),
        ("[costs]\nexit = 1", "want tables"),
        ("[costs", "Expected"),
        ('[published.x]\nmeasured = "a"\nsource = "b"', "published x: low: None"),
        (GOOD + CASE.replace('"latency.swap"', '"latency.no"'), "no parameter 'latency.no'"),
        (GOOD + CASE.replace('"arm64-v4"', '"arm64-v9"'), "no mode 'arm64-v9'"),
        (GOOD + CASE.replace('"random"', '"none"'), "order is sequential or random"),
        (GOOD + CASE.replace("m = 1", "m = -1"), "negative threads"),
        (GOOD + CASE.replace("m = 1", "m = 1.5"), "case one: m: 1.5 is not"),
        (GOOD + CASE.replace("m = 1", "m = 1\nkernel = 101"), "kernel beyond 100"),
        (GOOD + CASE.replace('["sync", "arm64-v4"]', "[]"), "at least one mode"),
        (GOOD + CASE.replace("expect", 'compare = ["x"]\nexpect'), "no published result 'x'"),
        (GOOD + CASE + SWEEP.replace("400, 2700", "100"), "100 is not in 400 to 2700"),
        (GOOD + CASE + SWEEP.replace("costs.exit", "what"), "no field of a case to vary"),
        (GOOD + CASE + SWEEP.replace('"one"', '"two"'), "no case 'two'"),
        (GOOD + CASE + SWEEP.replace('["sync"]', '["x"]'), "no mode 'x'"),
    ],
)
def test_what_is_refused(tmp_path, text, message):
    with pytest.raises(ParameterError, match=r"parameters\.toml: ") as refused:
        read(tmp_path, text)
    assert message in str(refused.value)


def test_good_is_good(tmp_path):
    loaded = read(tmp_path, GOOD + CASE + SWEEP)
    assert loaded["costs.exit"] == 1200
    assert loaded.case("one").modes == ("sync", "arm64-v4")
    assert loaded.sweep("exits").values == (400, 2700)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ParameterError, match="No such file"):
        load(tmp_path / "none.toml")


def test_names_that_do_not_exist(ours):
    for ask in (ours.__getitem__, ours.case, ours.sweep):
        with pytest.raises(ParameterError, match=r"'nothing'.*choose from"):
            ask("nothing")
