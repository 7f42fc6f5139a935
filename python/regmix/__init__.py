"""From data mixtures to losses, and to the best mixture.

>>> import regmix
>>> fit = regmix.fit(mixtures, losses)          # data frames, dictionaries, arrays, lists
>>> fit.predict({"web": 0.7, "code": 0.3})      # {target: loss}
>>> found = fit.optimize("mean", cap={"code": 0.4})
>>> found.mixture, found.predicted

The command `regmix` comes with it.
"""
import json
import warnings
from dataclasses import dataclass, field

from . import _regmix
from ._regmix import Error, __version__
from ._tables import numbers, table

__all__ = [
    "Controller", "Error", "Estimate", "Fit", "Found", "Gap", "__version__", "fit", "load",
]


@dataclass(frozen=True)
class Estimate:
    """A predicted value with its standard deviation and its 90 % interval."""

    mean: float
    sd: float
    low: float
    high: float


@dataclass(frozen=True)
class Gap:
    """How much worse another mixture is predicted to be than the one that was found, with the
    90 % interval of the difference of one run of each."""

    mean: float
    sd: float
    low: float
    high: float
    exceeds_noise: bool


@dataclass(frozen=True)
class Found:
    """The best mixture, and what is known about it."""

    mixture: dict
    """Shares of tokens."""
    spread: dict
    """{domain: (low, high)}: 5 to 95 % of refits on resampled runs; empty without refits."""
    predicted: Estimate
    """The objective at the mixture."""
    targets: dict
    """{target: Estimate}"""
    gaps: dict
    """{mixture: Gap} for `uniform`, `best_observed` and, where it is known, `natural`."""
    out_of_distribution: bool
    """Whether no run was near the mixture, so that predictions are extrapolations."""
    binding: list
    """The limits that it sits on, such as `cap web`."""
    unidentified: list
    """What the runs do not tell, in sentences."""
    details: dict = field(repr=False)
    """All that `mixture.json` holds."""

    @classmethod
    def _of(cls, text):
        found = json.loads(text)
        spread = {w["domain"]: (w["low"], w["high"]) for w in found["weights"]}
        return cls(
            mixture=found["mixture"],
            spread={} if None in (end for ends in spread.values() for end in ends) else spread,
            predicted=_only(Estimate, found["predicted"]),
            targets={t["target"]: _only(Estimate, t["predicted"]) for t in found["targets"]},
            gaps={r["name"]: _only(Gap, r["gap"]) for r in found["references"]},
            out_of_distribution=found["support"]["out_of_distribution"],
            binding=[f"{b['bound'].replace('_', ' ')} {b['name']}" for b in found["binding"]],
            unidentified=found.get("unidentified", []),
            details=found,
        )

    def save(self, path, *, overwrite=False):
        """Writes `mixture.json`, which `regmix export` and `regmix report` read."""
        _regmix.save_mixture(json.dumps(self.details), path, bool(overwrite))


class Fit:
    """One chosen model per target; made by `regmix.fit` or `regmix.load`."""

    def __init__(self, inner):
        self._inner = inner

    @property
    def domains(self):
        """The domains, in order."""
        return self._inner.domains

    @property
    def targets(self):
        """The targets, in order."""
        return self._inner.targets

    @property
    def regressors(self):
        """{target: the regressor that was chosen}"""
        return dict(zip(self.targets, self._inner.regressors))

    @property
    def runs(self):
        """How many runs were fitted."""
        return self._inner.runs

    @property
    def unit(self):
        """The unit of the losses, if it was given."""
        return self._inner.unit

    @property
    def warnings(self):
        """What to know before trusting the fit, in sentences."""
        return self._inner.warnings

    @property
    def approximate(self):
        """How approximate losses were used: a dictionary with the share of them that is taken
        and the errors with and without; or None."""
        return json.loads(self._inner.approximate())

    @property
    def dropped(self):
        """Losses that were left out, and why: dictionaries."""
        return json.loads(self._inner.dropped())

    def league(self):
        """How every regressor predicted every target on held-out runs: dictionaries."""
        return json.loads(self._inner.league())

    def predict(self, mixtures, sd=False):
        """The losses of mixtures, in their form: a dictionary gives a dictionary, a data frame
        a data frame, an array an array with a column for every target.

        With `sd` a pair: losses and their standard deviations, which cover the uncertainty of
        the fit and the noise of one more run.
        """
        given = table(mixtures, self.domains, "mixtures")
        means, sds = self._inner.predict(given.plain(), bool(sd))
        means = given.back(self.targets, means)
        return (means, given.back(self.targets, sds)) if sd else means

    def covers(self, mixtures):
        """For every mixture, whether it is like those that were fitted; the losses of others
        are extrapolations."""
        return self._inner.covers(table(mixtures, self.domains, "mixtures").plain())

    def optimize(
        self,
        objective="mean",
        *,
        relative_to=None,
        maximize=False,
        natural=None,
        floor=None,
        cap=None,
        groups=None,
        available=None,
        target_tokens=None,
        max_epochs=4.0,
        kl=0.0,
        caution=0.0,
        distance=0.0,
        method="descend",
        bootstrap=20,
        seed=42,
    ):
        """Searches the best mixture; docs/own-runs.md describes objectives and limits.

        objective: `mean`, `worst`, a target, or {target: weight}
        relative_to: the baseline of `worst`: `natural` (the default), `uniform` or `none`
        maximize: for scores that are better when higher
        natural: the mixture of the corpus itself
        floor, cap: {domain: share}
        groups: {name: (domains, floor, cap)}, limits on the total of several domains
        available, target_tokens, max_epochs: {domain: tokens} there are, the tokens of the run,
            and how often it may see a token
        kl, caution, distance: penalties, per nat of divergence from the natural mixture, per
            standard deviation, and per unit of distance beyond the runs
        method: `descend`, or `simulate` as RegMix does
        bootstrap: refits on resampled runs, for the spread
        """
        weighted = not isinstance(objective, str)
        return Found._of(
            self._inner.optimize(
                {
                    "objective": "" if weighted else objective,
                    "weights": numbers(objective, "objective") if weighted else None,
                    "relative_to": relative_to,
                    "maximize": bool(maximize),
                    "natural": _table_or_none(natural, self.domains),
                    "floor": numbers(floor or {}, "floor"),
                    "cap": numbers(cap or {}, "cap"),
                    "groups": {
                        str(name): ([str(domain) for domain in domains], float(low), float(high))
                        for name, (domains, low, high) in (groups or {}).items()
                    },
                    "available": None if available is None else numbers(available, "available"),
                    "target_tokens": None if target_tokens is None else float(target_tokens),
                    "max_epochs": float(max_epochs),
                    "kl": float(kl),
                    "caution": float(caution),
                    "distance": float(distance),
                    "method": method,
                    "bootstrap": bootstrap,
                    "seed": seed,
                }
            )
        )

    def save(self, folder, *, overwrite=False):
        """Writes the fit as `regmix fit` does, for `regmix.load` and the command."""
        self._inner.save(folder, bool(overwrite))

    def __repr__(self):
        return f"<regmix.Fit of {self.runs} runs, {len(self.targets)} targets>"


def fit(
    mixtures,
    losses,
    *,
    domains=None,
    targets=None,
    regressors=None,
    folds=5,
    repeats=1,
    seed=42,
    natural=None,
    unit=None,
    keep_outliers=False,
    scores=(),
    approximate=None,
):
    """Fits losses to mixtures, judged by cross-validation, as `regmix fit` does.

    Both tables are data frames (runs are the index or a column `run`), {run: {name: number}},
    [{name: number}], {name: [number]}, or rows of numbers with `domains` and `targets` as
    names. Losses may be {run: loss} or a list of one loss per run. Rows are joined by run, or
    by their order where they have no names. A loss that is missing is NaN or None; columns that
    are known to be no losses are left out and named in a warning.

    scores: targets that are better when higher and no losses, such as accuracies
    approximate: a pair of tables, mixtures and approximate losses over the same domains, such
        as those of smaller proxies; it takes four times as long
    """
    weights = table(mixtures, domains, "mixtures")
    values = table(losses, targets, "losses")
    options = {
        "regressors": None if regressors is None else list(regressors),
        "folds": folds,
        "repeats": repeats,
        "seed": seed,
        "natural": _table_or_none(natural, domains),
        "unit": unit,
        "keep_outliers": bool(keep_outliers),
        "scores": _names(scores, "scores"),
        "approximate": _approximate(approximate, domains, targets),
    }
    fitted = Fit(_regmix.Fit.train(weights.plain(), values.plain(), options))
    for sentence in fitted.warnings:
        warnings.warn(sentence, stacklevel=2)
    return fitted


def load(folder):
    """Reads what `Fit.save` or `regmix fit` wrote."""
    return Fit(_regmix.Fit.load(folder))


class Controller:
    """Changes the mixture while a model trains, as `regmix online` does.

    `controller` is what `regmix schedule` wrote as `controller.json`; `state` a file that the
    state is kept in, so that a restarted run continues. One controller at a time uses a state.
    """

    def __init__(self, controller, state=None):
        self._inner = _regmix.Controller(controller, state)
        self._open = True

    @property
    def mixture(self):
        """The mixture in force: what a run starts from, and continues with."""
        return dict(self._inner.mixture)

    @property
    def losses(self):
        """The losses that it expects."""
        return self._inner.losses

    @property
    def decision_steps(self):
        """The steps at which it decides."""
        return self._inner.decision_steps

    @property
    def last_step(self):
        """The step of the last observation, or None."""
        return self._inner.last_step

    @property
    def decisions(self):
        """What it decided so far, and why: dictionaries."""
        return json.loads(self._inner.decisions())

    def observe(self, step, losses):
        """Takes the losses of a validation, {domain: nats per token}. Returns the mixture to
        switch to, or None if the one in force stays.

        Training shall not end by a loss that cannot be right, nor by a full disk: such an
        observation changes nothing, and why is said in a warning.
        """
        if not self._open:
            raise ValueError("the controller is closed: expected an open one")
        switch, refused = self._inner.observe(step, numbers(losses, "losses"))
        if refused is not None:
            warnings.warn(f"kept the mixture: {refused}", RuntimeWarning, stacklevel=2)
        return None if switch is None else dict(switch)

    def close(self):
        """Lets others use the state file."""
        self._inner.close()
        self._open = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _names(given, what):
    """A list of names; a string alone would be taken letter by letter."""
    if isinstance(given, str):
        raise TypeError(f"{what}: a string; expected a list of names")
    return [str(name) for name in given]


def _approximate(given, domains, targets):
    """Two tables as the compiled part takes them, or None."""
    if given is None:
        return None
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise TypeError("approximate: expected a pair of tables, mixtures and losses")
    mixtures, losses = given
    return (
        table(mixtures, domains, "approximate mixtures").plain(),
        table(losses, targets, "approximate losses").plain(),
    )


def _only(kind, given):
    """Some of the entries, as an object."""
    return kind(**{name: given[name] for name in kind.__dataclass_fields__})


def _table_or_none(natural, domains):
    return None if natural is None else table(natural, domains, "natural").plain()
