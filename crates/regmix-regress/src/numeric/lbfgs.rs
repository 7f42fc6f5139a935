//! L-BFGS for the laws, with argmin.

use std::cell::RefCell;

use argmin::core::{CostFunction, Error as ArgminError, Executor, Gradient};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;

use regmix_data::Monitor;

/// Stands in for a cost that is not a number, so that a line search steps
/// back instead of failing.
const TOO_HIGH: f64 = 1e30;

/// Minimises `f`, which writes the gradient at its first argument into its
/// second and returns the cost. Gives the best point that was looked at and
/// its cost, also where a line search gives up. The monitor is checked at
/// every point.
///
/// # Errors
/// When the monitor asks to stop.
pub(crate) fn minimise(
    start: &[f64],
    iterations: u64,
    f: impl FnMut(&[f64], &mut [f64]) -> f64,
    monitor: &dyn Monitor,
) -> regmix_data::Result<(Vec<f64>, f64)> {
    let memo = RefCell::new(Memo {
        f,
        at: Vec::new(),
        cost: TOO_HIGH,
        gradient: vec![0.0; start.len()],
        best: (start.to_vec(), f64::INFINITY),
    });
    memo.borrow_mut().look(&start.to_vec());
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), 10)
        .with_tolerance_grad(1e-7)
        .and_then(|s| s.with_tolerance_cost(1e-9));
    if let Ok(solver) = solver {
        // An error here is a line search that found no descent; the best
        // point so far is then the answer.
        let _ = Executor::new(Handle(&memo, monitor), solver)
            .configure(|state| state.param(start.to_vec()).max_iters(iterations))
            .timer(false)
            .run();
    }
    monitor.check()?;
    Ok(memo.into_inner().best)
}

/// The last point that was looked at: argmin asks for cost and gradient of
/// the same point one after the other, and they share nearly all work.
struct Memo<F> {
    f: F,
    at: Vec<f64>,
    cost: f64,
    gradient: Vec<f64>,
    best: (Vec<f64>, f64),
}

impl<F: FnMut(&[f64], &mut [f64]) -> f64> Memo<F> {
    fn look(&mut self, at: &Vec<f64>) {
        if self.at == *at {
            return;
        }
        self.at.clone_from(at);
        self.cost = (self.f)(at, &mut self.gradient);
        if !self.cost.is_finite() || self.gradient.iter().any(|g| !g.is_finite()) {
            self.cost = TOO_HIGH;
            self.gradient.fill(0.0);
        }
        if self.cost < self.best.1 {
            self.best = (at.clone(), self.cost);
        }
    }
}

struct Handle<'a, F>(&'a RefCell<Memo<F>>, &'a dyn Monitor);

impl<F: FnMut(&[f64], &mut [f64]) -> f64> CostFunction for Handle<'_, F> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, at: &Vec<f64>) -> Result<f64, ArgminError> {
        self.1.check()?;
        let mut memo = self.0.borrow_mut();
        memo.look(at);
        Ok(memo.cost)
    }
}

impl<F: FnMut(&[f64], &mut [f64]) -> f64> Gradient for Handle<'_, F> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, at: &Vec<f64>) -> Result<Vec<f64>, ArgminError> {
        self.1.check()?;
        let mut memo = self.0.borrow_mut();
        memo.look(at);
        Ok(memo.gradient.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regmix_data::Silent;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn it_stops_when_asked_to() {
        let stop = AtomicBool::new(false);
        let mut seen = 0;
        let count = |x: &[f64], g: &mut [f64]| {
            seen += 1;
            stop.store(seen == 3, std::sync::atomic::Ordering::Relaxed);
            g[0] = 4.0 * x[0].powi(3);
            x[0].powi(4)
        };
        let err = minimise(&[3.0], 100, count, &stop).unwrap_err();
        assert!(err.is_interrupted() && seen == 3, "{err} {seen}");
    }

    #[test]
    fn a_curved_valley_is_followed_to_its_end() {
        let (at, cost) = minimise(
            &[-1.2, 1.0],
            200,
            |x, g| {
                let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
                g[0] = -2.0 * a - 400.0 * b * x[0];
                g[1] = 200.0 * b;
                a * a + 100.0 * b * b
            },
            &Silent,
        )
        .unwrap();
        assert!(cost < 1e-8 && (at[0] - 1.0).abs() < 1e-3, "{at:?} {cost}");
    }

    #[test]
    fn a_cliff_into_nan_costs_nothing_but_time() {
        let (at, cost) = minimise(
            &[3.0],
            100,
            |x, g| {
                g[0] = 1.0 - 1.0 / x[0];
                x[0] - x[0].ln()
            },
            &Silent,
        )
        .unwrap();
        assert!(
            (at[0] - 1.0).abs() < 1e-3 && cost < 1.0 + 1e-6,
            "{at:?} {cost}"
        );
    }
}
