//! The bounds of a schedule's mixtures, stage by stage and together.

use regmix_data::{Error, Result};
use regmix_regress::{Budget, Constraints};

/// How far rounding may take a weight above its cap.
const SLACK: f64 = 1e-10;

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
