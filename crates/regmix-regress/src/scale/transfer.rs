//! Do small models rank mixtures as large ones do?

use std::collections::BTreeMap;

use serde::Serialize;

use crate::metrics::{mean, spearman, variance};
use crate::scale::runs::{ScaleRun, ScaleRuns};

/// How the ranks at one size carry over to a larger one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankTransfer {
    /// The smaller size.
    pub smaller: f64,
    /// The larger size.
    pub larger: f64,
    /// Mixtures that both sizes have.
    pub mixtures: usize,
    /// Mean over targets of the Spearman correlation.
    pub spearman: f64,
    /// The least of any target.
    pub lowest: f64,
    /// Spearman correlation of the mean over targets.
    pub spearman_of_mean: f64,
    /// How far the mean loss, at the larger size, of the mixture that is best at
    /// the smaller one lies above the best, in the unit of the losses.
    pub regret: f64,
    /// The same for the best of the five that are best at the smaller size.
    pub regret_of_five: f64,
    /// Standard deviation of the mean loss between runs of the same mixture and
    /// size, where there are some.
    pub seed_noise: Option<f64>,
}

/// The last measurements of every size that most of its runs have, by mixture.
struct Level {
    size: f64,
    /// Values per target of every mixture.
    values: BTreeMap<usize, Vec<f64>>,
    noise: Option<f64>,
}

/// Rank transfer between every two sizes with at least three mixtures in common.
/// Each run counts with its measurement at the length that most runs of its size have;
/// where runs of a mixture end there, those alone. Empty with one size.
pub fn rank_transfer(runs: &ScaleRuns) -> Vec<RankTransfer> {
    let levels = levels(runs);
    let mut out = Vec::new();
    for (i, small) in levels.iter().enumerate() {
        for large in &levels[i + 1..] {
            out.extend(compare(small, large, runs.targets().len()));
        }
    }
    out
}

fn compare(small: &Level, large: &Level, targets: usize) -> Option<RankTransfer> {
    let shared: Vec<usize> = (small.values.keys().copied())
        .filter(|m| large.values.contains_key(m))
        .collect();
    if shared.len() < 3 {
        return None;
    }
    let column = |level: &Level, t: usize| -> Vec<f64> {
        shared.iter().map(|m| level.values[m][t]).collect()
    };
    let complete = |x: &[f64]| x.iter().all(|v| v.is_finite());
    let mut each = Vec::new();
    let (mut means_small, mut means_large) = (vec![0.0; shared.len()], vec![0.0; shared.len()]);
    for t in 0..targets {
        let (a, b) = (column(small, t), column(large, t));
        if complete(&a) && complete(&b) {
            each.push(spearman(&b, &a));
            crate::numeric::slices::add(&mut means_small, 1.0, &a);
            crate::numeric::slices::add(&mut means_large, 1.0, &b);
        }
    }
    let count = each.len() as f64;
    if each.is_empty() {
        return None;
    }
    let mut order: Vec<usize> = (0..shared.len()).collect();
    order.sort_by(|&a, &b| means_small[a].total_cmp(&means_small[b]));
    let least = |x: &mut dyn Iterator<Item = f64>| x.fold(f64::INFINITY, f64::min);
    let best = least(&mut means_large.iter().copied());
    let five = least(&mut order.iter().take(5).map(|&i| means_large[i]));
    Some(RankTransfer {
        smaller: small.size,
        larger: large.size,
        mixtures: shared.len(),
        spearman: mean(&each),
        lowest: least(&mut each.iter().copied()),
        spearman_of_mean: spearman(&means_large, &means_small),
        regret: (means_large[order[0]] - best) / count,
        regret_of_five: (five - best) / count,
        seed_noise: large.noise.or(small.noise),
    })
}

fn levels(runs: &ScaleRuns) -> Vec<Level> {
    let groups = runs.by_mixture();
    (runs.sizes().into_iter())
        .map(|size| {
            let own = |r: &usize| runs.runs()[*r].parameters == size;
            let all: Vec<usize> = groups.iter().flatten().copied().filter(own).collect();
            let length = common_length(all.iter().map(|&r| &runs.runs()[r]));
            let mut values = BTreeMap::new();
            let mut spreads = Vec::new();
            for (mixture, members) in groups.iter().enumerate() {
                let members = members.iter().filter(|r| own(r));
                let rows = at_length(members.map(|&r| &runs.runs()[r]), length);
                let Some(first) = rows.first() else { continue };
                let column = |t: usize| rows.iter().map(|row| row[t]).collect::<Vec<f64>>();
                values.insert(
                    mixture,
                    (0..first.len()).map(|t| mean(&column(t))).collect(),
                );
                if rows.len() > 1 {
                    let means: Vec<f64> = rows.iter().map(|row| mean(row)).collect();
                    let n = rows.len() as f64;
                    spreads.push(variance(&means) * n / (n - 1.0));
                }
            }
            Level {
                size,
                values,
                noise: (!spreads.is_empty()).then(|| mean(&spreads).sqrt()),
            }
        })
        .collect()
}

/// The measurements at a length of runs of one mixture: those of the runs that end there
/// if there are some. A run that continues beyond this length has not lowered its
/// learning rate there, so that its loss is not a measurement of the same kind.
fn at_length<'a>(runs: impl Iterator<Item = &'a ScaleRun>, length: f64) -> Vec<&'a Vec<f64>> {
    let (mut ended, mut passing) = (Vec::new(), Vec::new());
    for run in runs {
        let place = run.points.iter().position(|p| same(p.tokens, length));
        match place {
            Some(i) if i + 1 == run.points.len() => ended.push(&run.points[i].values),
            Some(i) => passing.push(&run.points[i].values),
            None => {}
        }
    }
    match ended.is_empty() {
        true => passing,
        false => ended,
    }
}

fn same(a: f64, b: f64) -> bool {
    (a / b - 1.0).abs() < 1e-3
}

/// The length that most runs have; of several, the greatest.
fn common_length<'a>(runs: impl Iterator<Item = &'a ScaleRun> + Clone) -> f64 {
    let lengths = runs.clone().flat_map(|r| r.points.iter().map(|p| p.tokens));
    let mut best = (0, 0.0);
    let mut seen: Vec<f64> = lengths.collect();
    seen.sort_by(f64::total_cmp);
    seen.dedup_by(|a, b| same(*a, *b));
    for length in seen {
        let has = |r: &&ScaleRun| r.points.iter().any(|p| same(p.tokens, length));
        let count = runs.clone().filter(has).count();
        if count >= best.0 {
            best = (count, length);
        }
    }
    best.1
}

/// The answer in one sentence, from the pair of sizes that lie furthest apart.
pub fn verdict(transfers: &[RankTransfer]) -> String {
    /// Correlations from which ranks count as the same, and as related.
    const SAME: f64 = 0.9;
    const RELATED: f64 = 0.7;
    let factor = |t: &&RankTransfer| t.larger / t.smaller;
    let Some(t) = (transfers.iter()).max_by(|a, b| factor(a).total_cmp(&factor(b))) else {
        return "Whether small models rank these mixtures as large ones do cannot be known: it \
                takes two sizes with at least three mixtures in common."
            .to_owned();
    };
    let answer = match t.spearman {
        s if s >= SAME => "Small models rank these mixtures as large ones do",
        s if s >= RELATED => "Small models rank these mixtures roughly as large ones do",
        _ => "Small models do not rank these mixtures as large ones do",
    };
    format!(
        "{answer}: from {:.3e} to {:.3e} parameters the Spearman correlation over {} mixtures is \
         {:.3} (mean of targets), and the mixture that is best for the small ones loses {:.4} to \
         the best.",
        t.smaller, t.larger, t.mixtures, t.spearman, t.regret
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::runs::ScalePoint;
    use regmix_data::DomainSet;

    fn runs(large: [f64; 4]) -> ScaleRuns {
        let mut all = Vec::new();
        for (size, losses) in [(1e8, [3.4, 3.3, 3.2, 3.1]), (4e8, large)] {
            for (i, loss) in losses.into_iter().enumerate() {
                for seed in 0..2 {
                    let w = 0.2 * (i as f64 + 1.0);
                    all.push(ScaleRun {
                        run: format!("{size}-{i}-{seed}"),
                        weights: vec![w, 1.0 - w],
                        parameters: size,
                        points: vec![ScalePoint {
                            tokens: 1e9,
                            values: vec![loss + 0.001 * f64::from(seed)],
                        }],
                    });
                }
            }
        }
        let domains = DomainSet::from_names(["a", "b"]).unwrap();
        ScaleRuns::new(domains, vec!["a".to_owned()], all).unwrap()
    }

    #[test]
    fn equal_ranks_carry_over_and_noise_is_measured() {
        let found = rank_transfer(&runs([3.0, 2.9, 2.8, 2.7]));
        assert_eq!((found.len(), found[0].mixtures), (1, 4));
        assert!((found[0].spearman - 1.0).abs() < 1e-12);
        assert_eq!(found[0].regret, 0.0);
        let noise = found[0].seed_noise.unwrap();
        assert!((noise - 0.001 / 2f64.sqrt()).abs() < 1e-6, "{noise}");
        assert_eq!(
            verdict(&found),
            "Small models rank these mixtures as large ones do: from 1.000e8 to 4.000e8 parameters \
             the Spearman correlation over 4 mixtures is 1.000 (mean of targets), and the mixture \
             that is best for the small ones loses 0.0000 to the best."
        );
    }

    #[test]
    fn a_longer_run_is_no_seed_of_a_shorter_one() {
        let short = runs([3.0, 2.9, 2.8, 2.7]);
        let mut all = short.runs().to_vec();
        // On the way to ten times the tokens, with losses of before the decay.
        let mut long = all[0].clone();
        long.run = "long".to_owned();
        long.points[0].values[0] += 0.5;
        let mut end = long.points[0].clone();
        end.tokens = 1e10;
        long.points.push(end);
        all.push(long);
        let both = ScaleRuns::new(short.domains().clone(), short.targets().to_vec(), all);
        assert_eq!(rank_transfer(&both.unwrap()), rank_transfer(&short));
    }

    #[test]
    fn turned_ranks_are_said() {
        let found = rank_transfer(&runs([2.7, 2.8, 2.9, 3.0]));
        assert!((found[0].regret - 0.3).abs() < 1e-9);
        assert!(verdict(&found).starts_with("Small models do not rank"));
        assert!(verdict(&[]).contains("cannot be known"));
    }
}
