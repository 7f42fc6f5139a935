from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from types import TracebackType
from typing import Any, Literal, overload

__all__ = [
    "Controller", "Error", "Estimate", "Fit", "Found", "Gap", "__version__", "fit", "load",
]

__version__: str

# Data frames, dictionaries, arrays and lists: see `fit`.
_Table = Any
_Weights = Mapping[str, float]
_Path = str | PathLike[str]

class Error(ValueError): ...

@dataclass(frozen=True)
class Estimate:
    mean: float
    sd: float
    low: float
    high: float

@dataclass(frozen=True)
class Gap:
    mean: float
    sd: float
    low: float
    high: float
    exceeds_noise: bool

@dataclass(frozen=True)
class Found:
    mixture: dict[str, float]
    spread: dict[str, tuple[float, float]]
    predicted: Estimate
    targets: dict[str, Estimate]
    gaps: dict[str, Gap]
    out_of_distribution: bool
    binding: list[str]
    unidentified: list[str]
    details: dict[str, Any]
    def save(self, path: _Path, *, overwrite: bool = False) -> None: ...

class Fit:
    def __init__(self, inner: Any) -> None: ...
    @property
    def domains(self) -> list[str]: ...
    @property
    def targets(self) -> list[str]: ...
    @property
    def regressors(self) -> dict[str, str]: ...
    @property
    def runs(self) -> int: ...
    @property
    def unit(self) -> str | None: ...
    @property
    def warnings(self) -> list[str]: ...
    @property
    def approximate(self) -> dict[str, float] | None: ...
    @property
    def dropped(self) -> list[dict[str, str]]: ...
    def league(self) -> list[dict[str, Any]]: ...
    @overload
    def predict(self, mixtures: _Table, sd: Literal[False] = False) -> Any: ...
    @overload
    def predict(self, mixtures: _Table, sd: Literal[True]) -> tuple[Any, Any]: ...
    def covers(self, mixtures: _Table) -> list[bool]: ...
    def optimize(
        self,
        objective: str | _Weights = "mean",
        *,
        relative_to: Literal["natural", "uniform", "none"] | None = None,
        maximize: bool = False,
        natural: _Table | None = None,
        floor: _Weights | None = None,
        cap: _Weights | None = None,
        groups: Mapping[str, tuple[Sequence[str], float, float]] | None = None,
        available: _Weights | None = None,
        target_tokens: float | None = None,
        max_epochs: float = 4.0,
        kl: float = 0.0,
        caution: float = 0.0,
        distance: float = 0.0,
        method: Literal["descend", "simulate"] = "descend",
        bootstrap: int = 20,
        seed: int = 42,
    ) -> Found: ...
    def save(self, folder: _Path, *, overwrite: bool = False) -> None: ...

def fit(
    mixtures: _Table,
    losses: _Table,
    *,
    domains: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    regressors: Sequence[str] | None = None,
    folds: int = 5,
    repeats: int = 1,
    seed: int = 42,
    natural: _Table | None = None,
    unit: str | None = None,
    keep_outliers: bool = False,
    scores: Sequence[str] = (),
    approximate: tuple[_Table, _Table] | None = None,
) -> Fit: ...
def load(folder: _Path) -> Fit: ...

class Controller:
    def __init__(self, controller: _Path, state: _Path | None = None) -> None: ...
    @property
    def mixture(self) -> dict[str, float]: ...
    @property
    def losses(self) -> list[str]: ...
    @property
    def decision_steps(self) -> list[int]: ...
    @property
    def last_step(self) -> int | None: ...
    @property
    def decisions(self) -> list[dict[str, Any]]: ...
    def observe(
        self, step: int, losses: Mapping[str, float | None]
    ) -> dict[str, float] | None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Controller: ...
    def __exit__(
        self,
        *_: type[BaseException] | BaseException | TracebackType | None,
    ) -> None: ...
