"""Fits and searches, and that the command gives the same."""
import csv
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import DOMAINS, FAST, LOSSES, RUNS, TARGETS, WEIGHTS, loss

import regmix
from regmix import _regmix

PUBLISHED = Path(os.environ.get("REGMIX_SHARED", "../shared"), "data", "regmix-tables")


def test_the_best_mixture_is_found_within_limits(fitted):
    found = fitted.optimize("mean", bootstrap=4)
    # By symmetry.
    assert found.mixture["web"] == pytest.approx(0.5, abs=0.02)
    assert found.mixture["code"] == pytest.approx(0.5, abs=0.02)
    assert found.predicted.low < found.predicted.mean < found.predicted.high
    low, high = found.spread["web"]
    assert low <= found.mixture["web"] <= high
    assert list(found.gaps) == ["uniform", "best_observed"] and found.gaps["uniform"].mean > 0
    assert set(found.targets) == {"web", "code"}
    limited = fitted.optimize({"web": 1.0}, cap={"web": 0.6}, floor={"books": 0.1}, bootstrap=0)
    assert limited.mixture["web"] == pytest.approx(0.6, abs=1e-6)
    assert limited.mixture["books"] >= 0.1 - 1e-9
    assert "cap web" in limited.binding and limited.spread == {}
    worst = fitted.optimize("web", maximize=True, bootstrap=0)
    assert worst.mixture["web"] < 0.01
    group = fitted.optimize("mean", groups={"text": (["web", "books"], 0.7, 1.0)}, bootstrap=0)
    assert group.mixture["web"] + group.mixture["books"] >= 0.7 - 1e-6
    assert "group floor text" in group.binding
    few = fitted.optimize(
        "web", available={"web": 10, "code": 100, "books": 100}, target_tokens=100, bootstrap=0
    )
    assert few.mixture["web"] == pytest.approx(0.4, abs=1e-6)
    natural = {"web": 0.2, "code": 0.2, "books": 0.6}
    near = fitted.optimize("mean", natural=natural, kl=100.0, bootstrap=0)
    assert near.mixture == pytest.approx(natural, abs=0.01) and "natural" in near.gaps
    again = fitted.optimize("mean", natural=[0.2, 0.2, 0.6], kl=100.0, bootstrap=0)
    assert again.mixture == near.mixture
    base = fitted.optimize("worst", relative_to="none", bootstrap=0)
    assert base.mixture["web"] == pytest.approx(base.mixture["code"], abs=0.02)


def test_the_league_has_an_entry_for_every_regressor_and_target(fitted):
    league = fitted.league()
    assert {"law1", "linear", "mean"} <= {entry["regressor"] for entry in league}
    assert all(entry["spearman"] > 0.9 for entry in league if entry["regressor"] == "law1")
    assert fitted.regressors == {"web": "law1", "code": "law1"}
    assert fitted.unit == "nats" and fitted.dropped == [] and fitted.warnings == []
    assert repr(fitted) == "<regmix.Fit of 24 runs, 2 targets>"


def test_wrong_questions_say_what_was_expected(fitted):
    for question, message in [
        ({"objective": "x"}, "unknown target `x`"),
        ({"target_tokens": 1e9}, "expected both or none"),
        ({"method": "luck"}, "`method`: `luck`: expected descend or simulate"),
        ({"cap": {"wiki": 0.5}}, "`cap.wiki`: unknown domain `wiki`"),
        ({"floor": {"web": 1.5}}, "`floor.web`: "),
        ({"relative_to": "uniform"}, "a baseline for the objective `mean`"),
        ({"natural": {"web": 0.5, "code": 0.1, "books": 0.1}}, "natural: weights of run `0` sum"),
        ({"bootstrap": 1}, "expected 0 or at least 2"),
    ]:
        with pytest.raises(regmix.Error, match=re.escape(message)):
            fitted.optimize(**question)
    with pytest.raises(TypeError, match="cap: `web` is 'much'; expected a number"):
        fitted.optimize(cap={"web": "much"})
    with pytest.raises(TypeError, match="objective: list; expected a dictionary"):
        fitted.optimize(["web"])


def test_fits_and_mixtures_go_to_the_command_and_back(fitted, tmp_path, command):
    fitted.save(tmp_path / "fit")
    found = fitted.optimize(bootstrap=2)
    found.save(tmp_path / "mixture.json")
    command("report", "--fit", "fit", "--mixture", "mixture.json")
    assert "regmix fit" in (tmp_path / "fit" / "report.html").read_text()
    assert '"web"' in command("export", "--to", "json", "--mixture", "mixture.json")
    again = regmix.load(tmp_path / "fit")
    assert again.predict(WEIGHTS) == fitted.predict(WEIGHTS) and again.unit == "nats"
    # Results are overwritten on request only.
    for save in [
        lambda **how: fitted.save(tmp_path / "fit", **how),
        lambda **how: found.save(tmp_path / "mixture.json", **how),
    ]:
        with pytest.raises(FileExistsError, match="overwrite it with `overwrite=True`"):
            save()
        save(overwrite=True)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        regmix.load(tmp_path / "nowhere")


def write_csv(path, names, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["run", *names])
        writer.writerows([i, *row] for i, row in enumerate(rows))


def same_as_command(fit, command, tmp_path, mixtures, losses, *options):
    """The command's numbers are those of the module, to the bit."""
    tables = ["--mixtures", mixtures, "--losses", losses]
    said = command("fit", *tables, "--out", "fit", *options)
    command("predict", "--fit", "fit", "--mixtures", mixtures, "--out", "both.csv")
    means_only = ["--means-only", "--out", "means.csv"]
    command("predict", "--fit", "fit", "--mixtures", mixtures, *means_only)
    command("optimize", "--fit", "fit", "--out", "mixture.json")

    def read(name):
        with open(tmp_path / name, newline="") as file:
            return [list(map(float, row[1:])) for row in list(csv.reader(file))[1:]]

    with open(mixtures, newline="") as file:
        rows = [list(map(float, row[1:])) for row in list(csv.reader(file))[1:]]
    means, sds = fit.predict(rows, sd=True)
    assert [[x for pair in zip(*row) for x in pair] for row in zip(means, sds)] == read("both.csv")
    assert fit.predict(rows) == read("means.csv")
    # Both write the same fit; durations in the league differ.
    fit.save(tmp_path / "module")
    for name in ["mixtures.csv", "values.csv", "predictions.csv", "fit.json"]:
        assert (tmp_path / "module" / name).read_bytes() == (tmp_path / "fit" / name).read_bytes()
    found = regmix.load(tmp_path / "module").optimize()
    found.save(tmp_path / "module.json")
    assert (tmp_path / "module.json").read_text() == (tmp_path / "mixture.json").read_text()
    # A fit that is read has its weights rescaled once more: that rounds.
    assert fit.optimize().predicted.mean == pytest.approx(found.predicted.mean, abs=1e-4)
    return said


def test_the_command_gives_the_same_numbers(fitted, tmp_path, command):
    m, l = tmp_path / "m.csv", tmp_path / "l.csv"
    write_csv(m, DOMAINS, WEIGHTS)
    write_csv(l, TARGETS, LOSSES)
    options = ["--regressors", "law1,linear", "--unit", "nats"]
    said = same_as_command(fitted, command, tmp_path, m, l, *options)
    assert "Cross-validated on 24 runs" in said
    assert command("--version").split() == ["regmix", regmix.__version__]


def test_approximate_losses_give_the_same_numbers(tmp_path, command):
    # A part that no regressor of so few runs sees, and that approximate losses have.
    def wavy(w):
        return 0.3 * math.sin(9.0 * w[0] * w[1] + 4.0 * w[2])

    rows = [[13 * i % RUNS + 2, 17 * i % RUNS + 1, 19 * i % RUNS + 4] for i in range(RUNS)]
    rows = [[w / sum(row) for w in row] for row in rows]
    tables = {
        "m": (DOMAINS, WEIGHTS),
        "l": (TARGETS, [[x + wavy(w) for x in row] for w, row in zip(WEIGHTS, LOSSES)]),
        "am": (DOMAINS, rows),
        "al": (TARGETS, [[loss(w[0]) + 1.0 + wavy(w), loss(w[1]) + 1.0 + wavy(w)] for w in rows]),
    }
    for name, (columns, values) in tables.items():
        write_csv(tmp_path / f"{name}.csv", columns, values)
    names = {"domains": DOMAINS, "targets": TARGETS}
    weights, losses, *approximate = (rows for _, rows in tables.values())
    fit = regmix.fit(weights, losses, approximate=approximate, **names, **FAST)
    without = regmix.fit(weights, losses, **names, **FAST)
    assert without.approximate is None and fit.approximate["mixtures"] == RUNS
    assert fit.approximate["share"] > 0
    assert fit.approximate["error"] < fit.approximate["error_without"]
    options = ["--approximate-mixtures", "am.csv", "--approximate-losses", "al.csv"]
    options += ["--regressors", "law1,linear"]
    same_as_command(fit, command, tmp_path, tmp_path / "m.csv", tmp_path / "l.csv", *options)
    for given, message in [
        (rows, "expected a pair of tables"),
        ((rows, "al.csv"), "approximate losses: str; expected a data frame"),
    ]:
        with pytest.raises(TypeError, match=re.escape(message)):
            regmix.fit(weights, losses, approximate=given, **names)
    with pytest.raises(regmix.Error, match="approximate"):
        others = {name: [w[k] for w in rows] for k, name in enumerate(["web", "code", "news"])}
        regmix.fit(weights, losses, approximate=(others, tables["al"][1]), **names)


def test_scores_change_nothing_of_losses():
    # Better when higher, and best where the mean loss is worst.
    values = [[*row, w[2]] for w, row in zip(WEIGHTS, LOSSES)]
    names = {"domains": DOMAINS, "targets": [*TARGETS, "accuracy"]}
    fit = regmix.fit(WEIGHTS, values, scores=["accuracy"], **names, **FAST)
    plain = regmix.fit(WEIGHTS, LOSSES, domains=DOMAINS, targets=TARGETS, **FAST)
    assert fit.targets == ["web", "code", "accuracy"]
    assert fit.optimize(bootstrap=0).mixture == plain.optimize(bootstrap=0).mixture
    assert [row[:2] for row in fit.predict(WEIGHTS)] == plain.predict(WEIGHTS)
    assert fit.optimize("accuracy", maximize=True, bootstrap=0).mixture["books"] > 0.99
    with pytest.raises(regmix.Error, match="accuracies"):
        regmix.fit(WEIGHTS, values, scores=["accuracies"], **names, **FAST)
    with pytest.raises(TypeError, match="scores: a string; expected a list of names"):
        regmix.fit(WEIGHTS, values, scores="accuracy", **names)


def test_published_runs_give_the_same_numbers(tmp_path, command):
    pd = pytest.importorskip("pandas")
    if not PUBLISHED.exists():
        pytest.skip(f"no published runs in {PUBLISHED}")
    tables = [
        pd.read_csv(PUBLISHED / name).head(96)  # All 512 take minutes.
        for name in ["train_mixture_1m.csv", "train_pile_loss_1m.csv"]
    ]
    m, l = tmp_path / "m.csv", tmp_path / "l.csv"
    for table, path in zip(tables, [m, l]):
        table.to_csv(path, index=False)
    mixtures, losses = tables
    fit = regmix.fit(mixtures, losses.sample(frac=1.0, random_state=1), regressors=["law1", "gp"])
    assert (fit.runs, len(fit.domains), len(fit.targets)) == (96, 17, 13)
    assert "arxiv" in fit.domains and "pile_cc" in fit.targets
    same_as_command(fit, command, tmp_path, m, l, "--regressors", "law1,gp")


def test_other_threads_work_while_a_fit_is_made():
    ticks = []
    done = threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(1)
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    before = len(ticks)
    regmix.fit(WEIGHTS, LOSSES, regressors=["gp", "law1"], repeats=4)
    during = len(ticks) - before
    done.set()
    thread.join()
    assert during > 5


def test_ctrl_c_stops_a_fit():
    code = (
        "import regmix, random\n"
        "w = [[random.random() + 0.01 for _ in range(12)] for _ in range(400)]\n"
        "w = [[x / sum(row) for x in row] for row in w]\n"
        "print('ready', flush=True)\n"
        "regmix.fit(w, [[sum(y * y for y in x) + k for k in range(20)] for x in w])\n"
        "print('not stopped')\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "ready\n"
    time.sleep(1)
    child.send_signal(signal.SIGINT)
    started = time.monotonic()
    said, errors = child.communicate(timeout=60)
    assert errors.rstrip().endswith("KeyboardInterrupt"), errors
    assert "not stopped" not in said
    assert time.monotonic() - started < 10


def test_a_fault_is_an_exception_with_a_plain_text(capfd):
    with pytest.raises(RuntimeError) as error:
        _regmix._fault()
    assert str(error.value).startswith("a fault in regmix: asked for (src/interrupt.rs:")
    assert "please report it" in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_a_single_prediction_is_quick(fitted):
    started = time.monotonic()
    for row in WEIGHTS * 10:
        fitted.predict(row)
    # Far below the period in which signals are looked for.
    assert (time.monotonic() - started) / (10 * RUNS) < 0.02
