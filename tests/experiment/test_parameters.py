"""The parameter file: every value has a source, or a range and a reason."""

from pathlib import Path

import pytest

from sdeiviz.experiment import ParameterError, Parameters, load, load_postcopy
from sdeiviz.experiment.parameters import varied
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
    assert published["v1_time"].low == pytest.approx(410.1 / 248.2 - 1, abs=1e-3)
    assert published["v1_time"].high == pytest.approx(405.8 / 243.1 - 1, abs=1e-3)
    assert published["v2_time"].low == pytest.approx(191_126 / 122_002 - 1, abs=1e-3)
    assert published["v2_time"].high == pytest.approx(171_335 / 81_442 - 1, abs=1e-3)
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


MIGRATION = """
[migration.one]
what = "one of each"
m = 1
c = 1
order = "random"
pages = "costs.exit"
memory = "costs.exit"
work = "costs.exit"
bandwidth = "costs.exit"
delay = "costs.exit"
buffer = "latency.swap"
modes = ["sync", "arm64-v4"]
expect = [0, 1]
why = "because"
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MIGRATION.replace('"latency.swap"', '"latency.no"'), "no parameter 'latency.no'"),
        (MIGRATION.replace('"arm64-v4"', '"arm64-v9"'), "no mode 'arm64-v9'"),
        (MIGRATION.replace('["sync", "arm64-v4"]', "[]"), "at least one mode"),
        (MIGRATION.replace('"random"', '"none"'), "order is sequential or random"),
        (MIGRATION.replace("m = 1", "m = 1\npasses = -1"), "negative threads or passes"),
        (MIGRATION.replace("m = 1", "m = 1\nurgent = 1"), "urgent: 1 is not what is wanted"),
        (MIGRATION.replace("expect", 'compare = ["x"]\nexpect'), "no published result 'x'"),
        (MIGRATION + SWEEP.replace('"costs.exit"', '"order"'), "400 is no order"),
        (MIGRATION + SWEEP.replace('"costs.exit"', '"serve"'), "no field of a case to vary"),
        ("include = 1", "want tables"),
    ],
)
def test_what_is_refused_of_migrations(tmp_path, text, message):
    with pytest.raises(ParameterError, match=r"parameters\.toml: ") as refused:
        read(tmp_path, text if text.startswith("include") else GOOD + text)
    assert message in str(refused.value)


def test_a_migration_and_a_sweep_of_it(tmp_path):
    sweep = SWEEP.replace('"costs.exit"', '"order"').replace("400, 2700", "0, 1")
    loaded = read(tmp_path, GOOD + MIGRATION + sweep)
    case = loaded.migration("one")
    assert [varied(loaded, case, "order", n)[1].order for n in (0, 1)] == ["sequential", "random"]
    assert [varied(loaded, case, "jump", n)[1].jump for n in (0, 1)] == [False, True]
    assert loaded.sweep("exits").values == (0, 1)


def including(directory: Path, names: str, own: str = "") -> Parameters:
    (directory / "other.toml").write_text(GOOD + CASE, "utf-8")
    return read(directory, f'[include]\n"other.toml" = {names}\n{own}')


def test_what_another_file_says_is_not_said_twice(tmp_path):
    assert list(including(tmp_path, '["costs"]').values) == ["costs.exit"]
    assert list(including(tmp_path, '["latency.swap"]').values) == ["latency.swap"]
    assert not including(tmp_path, '["latency.swap"]').cases
    own = GOOD.replace("costs.exit", "costs.place")
    both = including(tmp_path, '["costs"]', own)
    assert set(both.values) == {"costs.exit", "costs.place", "latency.swap"}


@pytest.mark.parametrize(
    ("names", "own", "message"),
    [
        ('["no"]', "", "include: there is no no to take over"),
        ('["costs.no"]', "", "include: there is no costs.no to take over"),
        ('"costs"', "", "include: want a list"),
        ('["costs"]', GOOD, "include: costs.exit is here already"),
    ],
)
def test_what_cannot_be_taken_over(tmp_path, names, own, message):
    with pytest.raises(ParameterError, match=r"parameters\.toml: ") as refused:
        including(tmp_path, names, own)
    assert message in str(refused.value)


def test_a_file_to_include_that_is_not_there(tmp_path):
    with pytest.raises(ParameterError, match="No such file"):
        read(tmp_path, '[include]\n"none.toml" = ["costs"]')


def test_post_copy_s_parameters():
    """What is typed from the mails, and what is the other experiment's."""
    postcopy, ours = load_postcopy(), load()
    assert postcopy.costs == ours.costs
    assert postcopy.published["v2_postcopy_c_rate"] == ours.published["v2_postcopy_c_rate"]
    assert postcopy["host.service"] == pytest.approx(1e9 / 150_000, rel=0.01)
    assert postcopy["link.v2"] == 765.53e6
    assert postcopy["link.v3"] == (487e6 + 492e6) / 2
    zeros = 1 - postcopy["workload.v2_pages"] / (postcopy["workload.v2_memory"] * 256)
    assert zeros == pytest.approx(861_559 / (861_559 + 219_929), abs=5e-3)
    for parameter in postcopy.values.values():
        assert parameter.source != "assumed" or (parameter.range and parameter.why), parameter.name


def test_claims_are_as_they_were_printed():
    published = load_postcopy().published
    rate_v2 = (89.242e9 / 658_955) / (19.723e9 / 240_635) - 1
    assert published["v2_postcopy_c_rate"].low == pytest.approx(rate_v2, abs=1e-3)
    assert str(published["v3_migration_c_rate"]) == "+67.5% .. +68.6%"
    assert str(published["v4_migration_c_rate"]) == "+0.0% .. +7.0%"
