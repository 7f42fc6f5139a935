//! Shares in the unit of a trainer, rounded to decimals that sum to 1.

use super::mapping::{Mapping, Source};
use super::plan::ExportPlan;
use super::trainer::Trainer;
use super::unit::SampleUnit;
use crate::error::{Error, Result};

/// Shares are written with eight decimals: as whole parts of this, so that their
/// sum is exact.
pub(super) const WHOLE: u64 = 100_000_000;

/// How far above its cap a domain of the given mixture may be, relatively: what
/// a search leaves. It is written at its cap.
const SLACK: f64 = 1e-6;

/// What is written of a segment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SegmentShares {
    pub(super) from: u64,
    pub(super) to: u64,
    /// Tokens of the segment, where those of the run are known.
    pub(super) tokens: Option<f64>,
    /// A part of [`WHOLE`] for every domain.
    pub(super) parts: Vec<u64>,
}

/// The shares of all segments, and what they mean in tokens.
#[derive(Debug, Clone)]
pub(super) struct Shares {
    pub(super) segments: Vec<SegmentShares>,
    /// Mean tokens of a unit, by domain.
    pub(super) mean_tokens: Vec<f64>,
}

impl Shares {
    /// Tokens of every domain over the run, as shares of it.
    pub(super) fn implied(&self) -> Vec<f64> {
        let mut sum = vec![0.0; self.mean_tokens.len()];
        let steps: u64 = self.segments.iter().map(|s| s.to - s.from).sum();
        for segment in &self.segments {
            let length = (segment.to - segment.from) as f64 / steps as f64;
            for (sum, share) in sum.iter_mut().zip(self.implied_in(segment)) {
                *sum += length * share;
            }
        }
        sum
    }

    /// The same within a segment.
    pub(super) fn implied_in(&self, segment: &SegmentShares) -> Vec<f64> {
        let drawn = segment.parts.iter().zip(&self.mean_tokens);
        let tokens: Vec<f64> = drawn.map(|(part, mean)| *part as f64 * mean).collect();
        let sum: f64 = tokens.iter().sum();
        tokens.into_iter().map(|t| t / sum).collect()
    }

    /// Mean tokens of what is drawn in a segment.
    pub(super) fn tokens_per_unit(&self, segment: &SegmentShares) -> f64 {
        let drawn = segment.parts.iter().zip(&self.mean_tokens);
        drawn.map(|(part, mean)| *part as f64 * mean).sum::<f64>() / WHOLE as f64
    }
}

/// How often every domain may be read: [`None`] where nothing says it, or nothing
/// says how much there is.
pub(super) fn caps(mapping: &Mapping, names: &[&str]) -> Vec<Option<f64>> {
    let cap = |name: &&str| {
        let own = mapping.domains.get(*name).and_then(|s| s.max_epochs);
        own.or(mapping.run.max_epochs)
    };
    names.iter().map(cap).collect()
}

/// Converts and rounds the mixtures of a plan. Without `force`, no domain is read
/// more often than its cap says, not even by rounding.
pub(super) fn shares(
    plan: &ExportPlan,
    mapping: &Mapping,
    (trainer, unit): (Trainer, SampleUnit),
    tokens: Option<f64>,
    force: bool,
) -> Result<Shares> {
    let names: Vec<&str> = plan.domains().names().collect();
    let segments = plan.segments();
    let drawn = |d: usize| segments.iter().any(|s| s.mixture.weights()[d] > 0.0);
    let mean_tokens = mean_tokens(mapping, &names, drawn, trainer, unit)?;
    let steps = segments.last().map_or(1, |s| s.to) as f64;
    let lengths: Vec<f64> = segments
        .iter()
        .map(|s| (s.to - s.from) as f64 / steps)
        .collect();
    // What is left of every domain's cap for the segments that follow, in shares of
    // the run.
    let mut room = room(mapping, &names, tokens);
    if !force {
        let mut planned = vec![0.0; names.len()];
        for (segment, length) in segments.iter().zip(&lengths) {
            for (sum, w) in planned.iter_mut().zip(segment.mixture.weights()) {
                *sum += length * w;
            }
        }
        refuse_above_caps(mapping, &names, &planned, &room)?;
    }
    let mut out = Vec::with_capacity(segments.len());
    for (place, (segment, length)) in segments.iter().zip(&lengths).enumerate() {
        let weights = segment.mixture.weights();
        let units: Vec<f64> = weights
            .iter()
            .zip(&mean_tokens)
            .map(|(w, m)| w / m)
            .collect();
        let sum: f64 = units.iter().sum();
        let exact: Vec<f64> = units.iter().map(|u| u / sum).collect();
        let limits: Vec<u64> = (0..names.len())
            .map(|d| match room[d] {
                Some(room) if !force => {
                    let later: f64 = (segments.iter().zip(&lengths).skip(place + 1))
                        .map(|(s, length)| length * s.mixture.weights()[d])
                        .sum();
                    // Tokens, then units, of this segment.
                    let share = (room - later) / length / mean_tokens[d] / sum;
                    (share.clamp(0.0, 1.0) * WHOLE as f64 + 1e-6) as u64
                }
                _ => WHOLE,
            })
            .collect();
        let parts = round(&exact, &limits).ok_or_else(|| {
            Error::input("the caps leave no room to round the weights: expected a sum of 1")
                .help("raise `max_epochs` a little")
        })?;
        let segment = SegmentShares {
            from: segment.from,
            to: segment.to,
            tokens: tokens.map(|t| t * length),
            parts,
        };
        let shares = Shares {
            segments: vec![segment],
            mean_tokens: mean_tokens.clone(),
        };
        for (room, used) in room.iter_mut().zip(shares.implied()) {
            *room = room.map(|room| room - length * used);
        }
        out.extend(shares.segments);
    }
    Ok(Shares {
        segments: out,
        mean_tokens,
    })
}

/// Mean tokens of a unit of every domain that is drawn.
fn mean_tokens(
    mapping: &Mapping,
    names: &[&str],
    drawn: impl Fn(usize) -> bool,
    trainer: Trainer,
    unit: SampleUnit,
) -> Result<Vec<f64>> {
    let of = |source: &Source| match unit {
        SampleUnit::Tokens | SampleUnit::Sequences => Some(1.0),
        SampleUnit::Documents => Some(source.tokens? / source.documents?),
        SampleUnit::Bytes => Some(source.tokens? / source.bytes?),
    };
    let empty = Source::default();
    let mut lacking = Vec::new();
    let mut means = Vec::with_capacity(names.len());
    for (d, name) in names.iter().enumerate() {
        match of(mapping.domains.get(*name).unwrap_or(&empty)) {
            Some(mean) => means.push(mean),
            None => {
                if drawn(d) {
                    lacking.push(format!("`{name}`"));
                }
                means.push(1.0);
            }
        }
    }
    if lacking.is_empty() {
        return Ok(means);
    }
    let packed = match trainer.units().contains(&SampleUnit::Sequences) {
        true => {
            ", or say `unit = \"sequences\"` under `[run]` if the data is packed into sequences of \
             one length"
        }
        false => "",
    };
    Err(Error::input(format!(
        "{trainer} draws {unit}, and weights are shares of tokens: expected `tokens` and `{unit}` \
         of {}",
        lacking.join(", ")
    ))
    .help(format!("add both to the mapping{packed}")))
}

/// The share of the run that every domain may have.
fn room(mapping: &Mapping, names: &[&str], tokens: Option<f64>) -> Vec<Option<f64>> {
    let caps = caps(mapping, names);
    let of = |(name, cap): (&&str, Option<f64>)| {
        let available = mapping.domains.get(*name)?.tokens?;
        Some(cap? * available / tokens?)
    };
    names.iter().zip(caps).map(of).collect()
}

fn refuse_above_caps(
    mapping: &Mapping,
    names: &[&str],
    planned: &[f64],
    room: &[Option<f64>],
) -> Result<()> {
    let caps = caps(mapping, names);
    let mut above = Vec::new();
    for (d, name) in names.iter().enumerate() {
        if let (Some(room), Some(cap)) = (room[d], caps[d])
            && planned[d] > room * (1.0 + SLACK)
        {
            let epochs = cap * planned[d] / room;
            above.push(format!(
                "`{name}` {epochs:.4} times where {cap} are allowed"
            ));
        }
    }
    if above.is_empty() {
        return Ok(());
    }
    Err(
        Error::input(format!("the run would read {}", above.join(", "))).help(
            "search again with these limits (`max_epochs`, `target_tokens`, `[available]`), or \
             export it as it is with `--force`",
        ),
    )
}

/// Parts of [`WHOLE`] that sum to it: rounded down, and the largest remainders
/// up where the limits allow. What is above 0 stays so. [`None`] when the limits
/// leave no room.
pub(super) fn round(exact: &[f64], limits: &[u64]) -> Option<Vec<u64>> {
    let scaled: Vec<f64> = exact.iter().map(|x| x * WHOLE as f64).collect();
    let mut parts: Vec<u64> = (scaled.iter().zip(limits))
        .map(|(x, limit)| match *x > 0.0 {
            true => (*x as u64).max(1).min(*limit),
            false => 0,
        })
        .collect();
    let mut order: Vec<usize> = (0..parts.len()).filter(|d| exact[*d] > 0.0).collect();
    order.sort_by(|&a, &b| scaled[b].fract().total_cmp(&scaled[a].fract()));
    loop {
        let sum: u64 = parts.iter().sum();
        if sum == WHOLE {
            return Some(parts);
        }
        if sum > WHOLE {
            // Those that were raised to 1.
            let largest = (0..parts.len()).max_by_key(|d| parts[*d])?;
            parts[largest] = parts[largest].checked_sub(sum - WHOLE)?;
            continue;
        }
        let open: Vec<usize> = (order.iter().copied())
            .filter(|d| parts[*d] < limits[*d])
            .collect();
        if open.is_empty() {
            return None;
        }
        // Nearly always less than one part each.
        let each = (WHOLE - sum) / open.len() as u64;
        let rest = (WHOLE - sum) % open.len() as u64;
        for (i, d) in open.into_iter().enumerate() {
            let more = each + u64::from((i as u64) < rest);
            parts[d] = (parts[d] + more).min(limits[d]);
        }
    }
}

/// A part as a decimal, without zeros at its end, and never in powers of ten,
/// which YAML 1.1 reads as text.
pub(super) fn decimal(part: u64) -> String {
    let digits = format!("{:08}", part % WHOLE);
    let digits = digits.trim_end_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    format!("{}.{digits}", part / WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_are_short_and_have_a_point() {
        let written = [0, 1, 30_000_000, WHOLE].map(decimal);
        assert_eq!(written, ["0.0", "0.00000001", "0.3", "1.0"]);
    }

    #[test]
    fn a_domain_at_its_cap_is_rounded_down() {
        let limits = [33_333_333, WHOLE, WHOLE];
        let exact = [0.333_333_336, 0.333_333_332, 0.333_333_332];
        let parts = round(&exact, &limits).unwrap();
        assert_eq!(parts, [33_333_333, 33_333_334, 33_333_333]);
        assert_eq!(round(&[0.5, 0.5], &[10, 10]), None);
    }

    #[test]
    fn nothing_vanishes_by_rounding() {
        let parts = round(&[1.0 - 3e-9, 1e-9, 2e-9, 0.0], &[WHOLE; 4]).unwrap();
        assert_eq!(parts, [WHOLE - 2, 1, 1, 0]);
    }

    proptest! {
        #[test]
        fn rounded_weights_sum_to_one(raw in prop::collection::vec(0.0f64..1.0, 1..40), tight in 0usize..40) {
            let sum: f64 = raw.iter().sum();
            prop_assume!(sum > 1e-3);
            let exact: Vec<f64> = raw.iter().map(|w| w / sum).collect();
            let mut limits = vec![WHOLE; exact.len()];
            if exact.len() > 1 {
                let at = tight % exact.len();
                limits[at] = (exact[at] * WHOLE as f64) as u64;
            }
            let parts = round(&exact, &limits).unwrap();
            prop_assert_eq!(parts.iter().sum::<u64>(), WHOLE);
            for ((part, limit), w) in parts.iter().zip(&limits).zip(&exact) {
                prop_assert!(part <= limit);
                prop_assert!((*part as f64 / WHOLE as f64 - w).abs() < 5e-8);
                prop_assert_eq!(*part > 0, *w > 0.0 && *limit > 0);
            }
        }
    }
}
