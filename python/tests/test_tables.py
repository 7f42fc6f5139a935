"""Every form of a table, and tables that are wrong."""
import math

import pytest
from conftest import DOMAINS, FAST, LOSSES, RUNS, TARGETS, WEIGHTS, loss

import regmix

NAMES = [f"r{i}" for i in range(RUNS)]
ASKED = {"web": 0.5, "code": 0.3, "books": 0.2}


def columns(names, rows):
    return {name: [row[j] for row in rows] for j, name in enumerate(names)}


def test_all_forms_are_one_table(fitted):
    expected = fitted.predict(ASKED)
    assert expected["web"] == pytest.approx(loss(0.5), abs=0.01)
    mixtures = {r: dict(zip(DOMAINS, w)) for r, w in zip(NAMES, WEIGHTS)}
    losses = {r: dict(zip(TARGETS, v)) for r, v in zip(reversed(NAMES), reversed(LOSSES))}
    records = [{"run": r, **weights} for r, weights in mixtures.items()]
    for given in [
        (mixtures, losses),
        (list(mixtures.values()), [dict(zip(TARGETS, v)) for v in LOSSES]),
        (records, losses),
        (columns(DOMAINS, WEIGHTS), columns(TARGETS, LOSSES)),
    ]:
        again = regmix.fit(*given, **FAST)
        assert (again.domains, again.targets, again.runs) == (DOMAINS, TARGETS, RUNS)
        assert again.predict(ASKED) == expected


def test_arrays_and_data_frames_are_tables(fitted):
    np, pd = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    expected = fitted.predict(ASKED)
    mixtures = pd.DataFrame(WEIGHTS, columns=DOMAINS, index=NAMES)
    losses = pd.DataFrame(LOSSES, columns=TARGETS, index=NAMES).iloc[::-1]
    by_number = losses.reset_index(names="run")
    given = [
        (mixtures, losses),
        (mixtures.reset_index(names="run"), losses),
        (mixtures[["books", "web", "code"]], by_number),
        # Joined by the index, not by the order.
        (mixtures.reset_index(drop=True), losses.iloc[::-1].reset_index(drop=True).iloc[::-1]),
    ]
    fits = [regmix.fit(*tables, **FAST) for tables in given]
    names = {"domains": DOMAINS, "targets": TARGETS}
    fits.append(regmix.fit(np.array(WEIGHTS), np.array(LOSSES), **names, **FAST))
    for fit in fits:
        assert fit.predict(ASKED) == pytest.approx(expected, abs=1e-6)
    # As trackers export them: what is no loss is left out and named.
    by_number["_step"], by_number["Name"] = 100, "a run"
    with pytest.warns(UserWarning) as warned:
        assert regmix.fit(mixtures, by_number, **FAST).targets == TARGETS
    sentence = "losses: left out `_step`, `Name`, which are no domain and no target"
    assert [str(w.message) for w in warned] == [sentence]


def test_polars_frames_are_tables(fitted):
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(WEIGHTS, schema=DOMAINS, orient="row")
    losses = pl.DataFrame(LOSSES, schema=TARGETS, orient="row")
    predicted = regmix.fit(frame, losses, **FAST).predict(frame)
    assert isinstance(predicted, pl.DataFrame) and predicted.columns == TARGETS
    assert predicted.rows() == [tuple(row) for row in fitted.predict(WEIGHTS)]


def test_predictions_have_the_form_of_the_mixtures(fitted):
    np, pd = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    rows = WEIGHTS[:3]
    expected = fitted.predict(rows)
    assert [len(row) for row in expected] == [2, 2, 2]
    array = fitted.predict(np.array(rows))
    assert isinstance(array, np.ndarray) and array.tolist() == expected
    frame = pd.DataFrame(rows, columns=DOMAINS, index=["a", "b", "c"])
    means, sds = fitted.predict(frame[["books", "web", "code"]], sd=True)
    assert list(means.index) == ["a", "b", "c"] and list(means.columns) == TARGETS
    assert means.to_numpy() == pytest.approx(np.array(expected)) and (sds.to_numpy() > 0).all()
    one = dict(zip(DOMAINS, rows[0]))
    answer = dict(zip(TARGETS, expected[0]))
    assert fitted.predict(one) == answer
    assert fitted.predict([one]) == [answer]
    assert fitted.predict({"x": one}) == {"x": answer}
    assert fitted.predict(rows[0]) == expected[0]
    assert fitted.predict(frame.loc["a"]).to_dict() == answer
    assert fitted.predict(columns(DOMAINS, rows)) == columns(TARGETS, expected)
    assert fitted.covers(rows) == [True, True, True]
    assert fitted.covers({"web": 0.0, "code": 0.0, "books": 1.0}) == [False]


def test_one_target_and_missing_losses():
    one = [row[0] for row in LOSSES]
    by_run = dict(enumerate(one))
    by_run[3], by_run[5] = math.nan, None
    for losses in [one, by_run, one[:7] + [None] + one[8:]]:
        fit = regmix.fit(WEIGHTS, losses, **FAST)
        assert (fit.targets, fit.runs) == (["loss"], RUNS)
        assert fit.domains == ["domain_0", "domain_1", "domain_2"]
    far = one[:7] + [1e6] + one[8:]
    fit = regmix.fit(WEIGHTS, far, **FAST)
    assert [(d["run"], d["target"]) for d in fit.dropped] == [("7", "loss")]



def by_name(rows):
    return [dict(zip(DOMAINS, row)) for row in rows]


BAD_ROWS = [
    ([0.5, math.nan, 0.5], "mixtures, row 2: `code`: no weight: expected a number\nhelp: write 0"),
    ([0.5, None, 0.5], "mixtures, row 2: `code`: no weight"),
    ([0.5, -0.5, 1.0], "mixtures, row 2: `code`: weight -0.5, expected a finite number that is"),
    ([0.5, "half", 0.0], "mixtures, row 2: `code`: `half` is not a number"),
    ([0.5, 0.2, 0.1], "mixtures, row 2: weights of run `2` sum to 0.8000, expected 1 (within"),
    ([0.5, 0.5], "mixtures, row 2: 2 numbers, expected 3: web, code, books"),
]


@pytest.mark.parametrize("row, message", BAD_ROWS)
def test_wrong_mixtures_name_row_and_column(fitted, row, message):
    rows = [*WEIGHTS[:2], row, *WEIGHTS[3:]]
    for call in [
        lambda: regmix.fit(rows, LOSSES, domains=DOMAINS, **FAST),
        lambda: fitted.predict(rows),
    ]:
        with pytest.raises(ValueError) as error:
            call()
        assert str(error.value).startswith(message)


def test_rows_of_frames_and_dictionaries_are_named():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(WEIGHTS, columns=DOMAINS, index=NAMES)
    frame.loc["r4", "books"] = math.inf
    with pytest.raises(regmix.Error, match="mixtures, row r4: `books`: weight inf"):
        regmix.fit(frame, LOSSES, **FAST)
    rows = dict(zip(NAMES, by_name(WEIGHTS)))
    rows["r9"] = {"web": 0.5, "cod": 0.5, "books": 0.0}  # Mistyped.
    with pytest.raises(regmix.Error, match="mixtures, row r0: `cod`: no weight"):
        regmix.fit(rows, LOSSES, **FAST)
    losses = dict(zip(NAMES, (row[0] for row in LOSSES)))
    losses["r6"] = "high"
    with pytest.raises(TypeError, match="losses: a dictionary of float, str; expected a data"):
        regmix.fit(WEIGHTS, losses, **FAST)
    names = {r: {"loss": v} for r, v in losses.items()}
    with pytest.raises(regmix.Error, match="losses, row r6: `loss`: `high` is not a number"):
        regmix.fit(dict(zip(NAMES, by_name(WEIGHTS))), names, **FAST)


def test_wrong_tables_say_what_was_expected(fitted):
    with pytest.raises(regmix.Error, match="unknown domain `wiki`: expected one of web, code"):
        fitted.predict({"web": 0.5, "wiki": 0.5})
    with pytest.raises(regmix.Error, match="domain `books` has no weight: expected one"):
        fitted.predict({"web": 0.5, "code": 0.5})
    with pytest.raises(regmix.Error, match="expected at least 8"):
        regmix.fit(WEIGHTS[:4], LOSSES[:4])
    with pytest.raises(regmix.Error, match="losses: runs with a mixture but no losses: 23"):
        regmix.fit(WEIGHTS, LOSSES[:-1])
    with pytest.raises(regmix.Error, match="mixtures: one domain, `domain_0`, leaves nothing"):
        regmix.fit([[1.0]] * RUNS, LOSSES)
    with pytest.raises(ValueError, match="losses: no rows, expected at least one"):
        regmix.fit(WEIGHTS, [])
    with pytest.raises(ValueError, match="mixtures: an empty dictionary; expected a data frame"):
        regmix.fit({}, LOSSES)
    with pytest.raises(ValueError, match="`code` has 1 values, expected 2 as `web` has"):
        regmix.fit({"web": [0.5, 0.4], "code": [0.5]}, LOSSES)
    with pytest.raises(TypeError, match="mixtures: int; expected a data frame"):
        regmix.fit(3, LOSSES)
    with pytest.raises(TypeError, match="mixtures, row 1: float, expected a list of numbers"):
        regmix.fit([[0.5, 0.5], 0.5], LOSSES)
