//! What is exported: one mixture, or several one after the other.

use crate::domain::DomainSet;
use crate::error::{Error, Result};
use crate::mixture::Mixture;

/// A stretch of training on one mixture.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportSegment {
    /// Its first step, counted from 0.
    pub from: u64,
    /// The step after its last one.
    pub to: u64,
    /// Its mixture.
    pub mixture: Mixture,
}

/// The mixtures of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportPlan {
    domains: DomainSet,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    One(Mixture),
    Several {
        segments: Vec<ExportSegment>,
        tokens: f64,
    },
}

impl ExportPlan {
    /// One mixture for the whole run.
    pub fn of_mixture(mixture: Mixture) -> Self {
        Self {
            domains: mixture.domains().clone(),
            kind: Kind::One(mixture),
        }
    }

    /// A mixture from each of some steps on, for a run of so many steps and
    /// tokens. Where there is only one, this is [`ExportPlan::of_mixture`].
    ///
    /// # Errors
    /// When the first step is not 0, steps do not rise up to that of the end, or
    /// mixtures are over different domains.
    pub fn of_switches(switches: Vec<(u64, Mixture)>, steps: u64, tokens: f64) -> Result<Self> {
        let Some((_, first)) = switches.first() else {
            return Err(Error::input("no mixtures: expected at least one"));
        };
        let domains = first.domains().clone();
        let starts: Vec<u64> = switches.iter().map(|s| s.0).collect();
        let mut ends = starts[1..].to_vec();
        ends.push(steps);
        if starts[0] != 0 || starts.iter().zip(&ends).any(|(from, to)| from >= to) {
            return Err(Error::input(format!(
                "mixtures from the steps {starts:?} of {steps}: expected steps that rise from 0"
            )));
        }
        let mut segments = Vec::with_capacity(ends.len());
        for ((from, mixture), to) in switches.into_iter().zip(ends) {
            let mixture = mixture.reordered(&domains)?;
            segments.push(ExportSegment { from, to, mixture });
        }
        let kind = Kind::Several { segments, tokens };
        Ok(Self { domains, kind })
    }

    /// The domains of all mixtures.
    pub fn domains(&self) -> &DomainSet {
        &self.domains
    }

    /// Whether the mixture changes.
    pub fn changes(&self) -> bool {
        matches!(&self.kind, Kind::Several { segments, .. } if segments.len() > 1)
    }

    /// Tokens of the run, where the plan knows them.
    pub fn tokens(&self) -> Option<f64> {
        match &self.kind {
            Kind::One(_) => None,
            Kind::Several { tokens, .. } => Some(*tokens),
        }
    }

    /// The segments; one mixture is a segment of one step.
    pub fn segments(&self) -> Vec<ExportSegment> {
        match &self.kind {
            Kind::One(mixture) => vec![ExportSegment {
                from: 0,
                to: 1,
                mixture: mixture.clone(),
            }],
            Kind::Several { segments, .. } => segments.clone(),
        }
    }

    /// The plan with every switch at a multiple of so many steps.
    ///
    /// # Errors
    /// When a switch is between two multiples and `align` is false, or two
    /// switches fall together.
    pub(super) fn at_multiples(&self, block: u64, align: bool, why: &str) -> Result<Self> {
        let mut out = self.clone();
        let Kind::Several { segments, .. } = &mut out.kind else {
            return Ok(out);
        };
        for place in 1..segments.len() {
            let step = segments[place].from;
            let (before, rest) = (step / block * block, step % block);
            if rest == 0 {
                continue;
            }
            if !align {
                return Err(Error::input(format!(
                    "the mixture changes at step {step}: {why}, which are the multiples of {block} \
                     steps, such as {before} or {}",
                    before + block
                ))
                .help(
                    "move changes to the nearest of these with `--align`, or plan other stages",
                ));
            }
            let nearest = if 2 * rest < block {
                before
            } else {
                before + block
            };
            segments[place - 1].to = nearest;
            segments[place].from = nearest;
        }
        match segments.iter().find(|s| s.from >= s.to) {
            Some(gone) => Err(Error::input(format!(
                "nothing is left of a mixture when changes are moved to multiples of {block} \
                 steps: it would start and end at step {}",
                gone.from
            ))
            .help("plan fewer stages, or a shorter ramp")),
            None => Ok(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(steps: &[u64], end: u64) -> Result<ExportPlan> {
        let domains = DomainSet::from_names(["a", "b"]).unwrap();
        let switches = steps.iter().enumerate().map(|(i, step)| {
            let w = 0.1 * i as f64;
            let mixture = Mixture::new(domains.clone(), vec![w, 1.0 - w]).unwrap();
            (*step, mixture)
        });
        ExportPlan::of_switches(switches.collect(), end, 1e6)
    }

    #[test]
    fn switches_are_checked_and_moved() {
        let bad = plan(&[0, 9, 9], 20).unwrap_err().to_string();
        assert_eq!(
            bad,
            "mixtures from the steps [0, 9, 9] of 20: expected steps that rise from 0"
        );
        assert!(plan(&[1, 9], 20).is_err() && plan(&[0, 9], 9).is_err());
        let three = plan(&[0, 9, 21], 40).unwrap();
        let off = three
            .at_multiples(8, false, "it changes at blocks")
            .unwrap_err();
        assert_eq!(
            off.problem(),
            "the mixture changes at step 9: it changes at blocks, which are the multiples of 8 \
             steps, such as 8 or 16"
        );
        let moved = three.at_multiples(8, true, "").unwrap().segments();
        let steps: Vec<_> = moved.iter().map(|s| (s.from, s.to)).collect();
        assert_eq!(steps, [(0, 8), (8, 24), (24, 40)]);
        let gone = three.at_multiples(32, true, "").unwrap_err();
        assert!(
            gone.problem().starts_with("nothing is left of a mixture"),
            "{gone}"
        );
    }
}
