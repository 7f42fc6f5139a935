"""What a type checker must accept, and what it must not; it is checked, not run."""
from __future__ import annotations

import regmix

fit = regmix.fit([[0.5, 0.5]], [3.0], domains=["web", "code"], regressors=["linear"])
found = fit.optimize({"loss": 1.0}, cap={"web": 0.6}, groups={"all": (["web"], 0.0, 1.0)})
weight: float = found.mixture["web"]
low: float = found.predicted.low
gain: float = found.gaps["uniform"].mean
means, sds = fit.predict([[0.5, 0.5]], sd=True)
found.save("mixture.json", overwrite=True)
with regmix.Controller("c.json", state="s.json") as controller:
    switched: dict[str, float] | None = controller.observe(10, {"web": 3.1, "code": None})

fit.optimize(method="luck")  # type: ignore[arg-type]
regmix.fit([[0.5]], [3.0], folds="many")  # type: ignore[arg-type]
