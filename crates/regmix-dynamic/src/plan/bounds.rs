//! The bounds of a schedule's mixtures, stage by stage and together.

use regmix_data::{Error, Result};
use regmix_regress::{Budget, Constraints};

/// How far rounding may take a weight above its cap.
const SLACK: f64 = 1e-10;

/// Halvings of the way between two mixtures, and the part of the way that
/// stays free: later stages are not to depend on rounding.
const HALVINGS: usize = 20;
const FREE: f64 = 1e-4;

/// Bounds of every mixture, and the share of all tokens of the run that a
/// domain may take over the whole schedule.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub(crate) constraints: Constraints,
    pub(crate) budget: Option<Vec<f64>>,
}

impl Bounds {
    pub(crate) fn new(constraints: Constraints, budget: Option<&Budget>) -> Result<Self> {
        let shares = |budget: &Budget| {
            // Checks it; its caps are those of one mixture for the whole run.
            budget.caps(constraints.domains())?;
            (constraints.domains().names())
                .map(|d| Ok(budget.max_epochs * budget.tokens(d)? / budget.target_tokens))
                .collect::<Result<Vec<f64>>>()
        };
        Ok(Self {
            budget: budget.map(shares).transpose()?,
            constraints,
        })
    }

    /// Bounds of one mixture for a share of training. `taken` is what other
    /// mixtures take of every domain; `later` is the share of training whose
    /// mixtures are not chosen yet, and room is left for their floors.
    pub(crate) fn of_stage(&self, share: f64, taken: &[f64], later: f64) -> Result<Constraints> {
        let Some(budget) = &self.budget else {
            return Ok(self.constraints.clone());
        };
        let floors = self.constraints.floors();
        let mut caps = Vec::with_capacity(budget.len());
        for (i, total) in budget.iter().enumerate() {
            caps.push((total - taken[i] - later * floors[i]) / share + SLACK);
        }
        self.tightened(&vec![0.0; budget.len()], &caps)
    }

    /// A mixture found for a share of training within `stage`, its bounds: the
    /// same where the mixtures after it, for the share `later`, still have
    /// room; else moved towards a mixture that all of training may stay on, as
    /// far as is needed.
    ///
    /// [`Bounds::of_stage`] leaves room for floors only. Beside caps or groups
    /// that is too little: what the budget leaves may be more than the caps
    /// allow of some domains and too little of the others. The mixtures that
    /// leave room form a convex set, which contains every mixture that can be
    /// kept to the end.
    pub(crate) fn leaving_room(
        &self,
        stage: &Constraints,
        found: Vec<f64>,
        (share, later): (f64, f64),
        taken: &[f64],
        trust: Option<f64>,
    ) -> Vec<f64> {
        let leaves_room = |mixture: &[f64]| {
            let taken = taken.iter().zip(mixture).map(|(t, w)| t + share * w);
            let rest = self.of_stage(later, &taken.collect::<Vec<_>>(), 0.0);
            rest.and_then(|rest| self.near(&rest, &[mixture], trust))
                .is_ok()
        };
        if self.budget.is_none() || later <= 0.0 || leaves_room(&found) {
            return found;
        }
        let whole = Self {
            constraints: stage.clone(),
            budget: self.budget.clone(),
        };
        let stay = (whole.of_stage(share + later, taken, 0.0)).and_then(|all| all.project(&found));
        // No mixture can be kept to the end, but several in turn may do.
        let Ok(stay) = stay else {
            return found;
        };
        let between = |way: f64| -> Vec<f64> {
            (stay.weights().iter().zip(&found))
                .map(|(s, f)| s + way * (f - s))
                .collect()
        };
        let (mut near, mut far) = (0.0, 1.0);
        for _ in 0..HALVINGS {
            let way = 0.5 * (near + far);
            match leaves_room(&between(way)) {
                true => near = way,
                false => far = way,
            }
        }
        between((1.0 - FREE) * near)
    }

    /// The bounds with some more floors and caps.
    pub(crate) fn tightened(&self, floors: &[f64], caps: &[f64]) -> Result<Constraints> {
        let own = &self.constraints;
        let (mut floors, mut caps) = (floors.to_vec(), caps.to_vec());
        for (i, (floor, cap)) in own.floors().iter().zip(own.caps()).enumerate() {
            caps[i] = caps[i].clamp(0.0, 1.0).max(*floor).min(*cap);
            floors[i] = floors[i].min(caps[i]).max(*floor);
        }
        Constraints::from_parts(own.domains().clone(), &floors, &caps, own.groups())
    }

    /// Both the bounds of a stage and, around some mixtures, a trust region:
    /// no weight further than `trust` from any of them.
    pub(crate) fn near(
        &self,
        stage: &Constraints,
        around: &[&[f64]],
        trust: Option<f64>,
    ) -> Result<Constraints> {
        let Some(trust) = trust else {
            return Ok(stage.clone());
        };
        let n = stage.caps().len();
        let (mut floors, mut caps) = (vec![0.0f64; n], vec![1.0f64; n]);
        for near in around {
            for ((floor, cap), near) in floors.iter_mut().zip(&mut caps).zip(*near) {
                *floor = floor.max(near - trust - SLACK);
                *cap = cap.min(near + trust + SLACK);
            }
        }
        let stage = Self {
            constraints: stage.clone(),
            budget: None,
        };
        stage.tightened(&floors, &caps).map_err(|e| {
            Error::input(format!(
                "no mixture is within {trust} of the one before and keeps to all bounds: {e}"
            ))
            .field("trust")
            .help("raise `trust`, or loosen the bounds")
        })
    }
}
