//! The sampler of the RegMix paper's code.

use rand::seq::{IndexedRandom, SliceRandom};

use super::{Dirichlet, Drawn, Sampler, Space, check_strengths, log_spaced};
use crate::error::{Error, Result};
use crate::mixture::Mixture;
use crate::random::Stream;

/// The published sampler (Liu et al. 2024, arXiv 2407.01492), step by step:
///
/// 1. `q = prior^temperature`, rescaled.
/// 2. For each try, one Dirichlet draw `q * s` per strength `s` (log-spaced),
///    and a uniform choice among them.
/// 3. Reject the choice where a weight lies below its floor or above
///    `min(usage * prior, 1)` or its cap.
/// 4. Zero what is below `grid`, rescale, round to multiples of `grid`.
/// 5. Sort, drop near-duplicates (L1 distance at most 1e-5), and pick `n` at
///    random.
///
/// Rows are rescaled to sum to 1 at the end, as the published training code
/// does when it loads them. Because the bounds are tested before rounding, a
/// final weight may exceed its cap slightly. The published random numbers are
/// not reproduced.
///
/// | parameter | default | range |
/// |---|---|---|
/// | `temperature` | 0.5 | (0, 1] |
/// | `strengths` | 0.1 to 5 | 0 < low <= high |
/// | `steps` | 15 | >= 1 |
/// | `usage` | 15 | > 0: greatest weight as a multiple of the prior |
/// | `grid` | 2e-4 | (0, 0.1] |
/// | `multiplier` | 100 | >= 1: tries per mixture wanted |
#[derive(Debug, Clone, PartialEq)]
pub struct RegMix {
    /// Power applied to the prior.
    pub temperature: f64,
    /// Least and greatest Dirichlet strength.
    pub strengths: [f64; 2],
    /// How many strengths.
    pub steps: usize,
    /// Greatest weight as a multiple of the prior.
    pub usage: f64,
    /// Weights are multiples of this; smaller ones become zero.
    pub grid: f64,
    /// Tries per mixture wanted.
    pub multiplier: usize,
}

impl Default for RegMix {
    fn default() -> Self {
        Self {
            temperature: 0.5,
            strengths: [0.1, 5.0],
            steps: 15,
            usage: 15.0,
            grid: 2e-4,
            multiplier: 100,
        }
    }
}

impl Sampler for RegMix {
    fn name(&self) -> &'static str {
        "regmix"
    }

    fn draw(&self, space: &Space, n: usize, rng: &mut Stream) -> Result<Drawn> {
        check_strengths(&self.strengths, self.steps, self.temperature)?;
        if !(self.grid > 0.0 && self.grid <= 0.1 && self.usage > 0.0) || self.multiplier == 0 {
            return Err(Error::input(format!(
                "grid {}, usage {}, multiplier {}: expected 0 < grid <= 0.1, usage > 0 and \
                 multiplier >= 1",
                self.grid, self.usage, self.multiplier
            )));
        }
        let prior = space.prior();
        let base = prior.tempered(self.temperature)?;
        let strengths = log_spaced(self.strengths[0], self.strengths[1], self.steps)
            .into_iter()
            .map(|s| Dirichlet::new(&base.weights().iter().map(|q| q * s).collect::<Vec<_>>()))
            .collect::<Result<Vec<_>>>()?;
        let high: Vec<f64> = (prior.weights().iter().zip(space.cap()))
            .map(|(p, cap)| (self.usage * p).min(1.0).min(*cap))
            .collect();

        let tried = self.multiplier * n;
        let mut kept: Vec<Vec<f64>> = Vec::new();
        for _ in 0..tried {
            let draws: Vec<Vec<f64>> = strengths.iter().map(|d| d.sample(rng)).collect();
            let w = draws.choose(rng).expect("there is at least one strength");
            let allowed =
                (w.iter().zip(space.floor()).zip(&high)).all(|((w, lo), hi)| w >= lo && w <= hi);
            if allowed {
                kept.push(self.rounded(w));
            }
        }
        kept.sort_by(|a, b| a.partial_cmp(b).expect("weights are finite"));
        let mut distinct: Vec<Vec<f64>> = Vec::new();
        for row in kept {
            let near = distinct.last().is_some_and(|last| {
                let l1: f64 = last.iter().zip(&row).map(|(a, b)| (a - b).abs()).sum();
                l1 <= 1e-5
            });
            if !near {
                distinct.push(row);
            }
        }
        let accepted = distinct.len();
        if accepted < n {
            return Err(Error::input(format!(
                "the `regmix` sampler found {accepted} of {n} mixtures in {tried} tries: its floors \
                 and caps reject nearly every draw"
            ))
            .field("sampler")
            .help("use the sampler `floored` or `maximin`, which reject nothing; or loosen floors and caps"));
        }
        let (picked, _) = distinct.partial_shuffle(rng, n);
        let mixtures = picked
            .iter()
            .map(|row| Mixture::normalized(prior.domains().clone(), row.clone()))
            .collect::<Result<Vec<_>>>()?;
        Ok(Drawn {
            mixtures,
            tried,
            accepted,
        })
    }
}

impl RegMix {
    /// Zeroes what is below the grid, rescales, rounds to the grid.
    fn rounded(&self, weights: &[f64]) -> Vec<f64> {
        let large = |w: f64| if w < self.grid { 0.0 } else { w };
        let sum: f64 = weights.iter().map(|&w| large(w)).sum();
        weights
            .iter()
            .map(|&w| (large(w) / sum / self.grid).round() * self.grid)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::DomainSet;
    use crate::random::stream;

    /// Token shares of the 17 Pile domains in the published configuration.
    const PILE: [(&str, f64); 17] = [
        ("arxiv", 0.113285),
        ("freelaw", 0.079609),
        ("nih_exporter", 0.003913),
        ("pubmed_central", 0.185376),
        ("wikipedia_en", 0.051081),
        ("dm_mathematics", 0.015963),
        ("github", 0.101751),
        ("philpapers", 0.003708),
        ("stackexchange", 0.066529),
        ("enron_emails", 0.001751),
        ("gutenberg_pg_19", 0.027085),
        ("pile_cc", 0.236869),
        ("ubuntu_irc", 0.011843),
        ("europarl", 0.007930),
        ("hackernews", 0.008033),
        ("pubmed_abstracts", 0.038826),
        ("uspto_backgrounds", 0.046447),
    ];

    fn pile() -> Mixture {
        let domains = DomainSet::from_names(PILE.map(|(n, _)| n)).unwrap();
        Mixture::normalized(domains, PILE.map(|(_, w)| w).to_vec()).unwrap()
    }

    /// The results of the published script with its defaults: 29,097 of 51,200
    /// tries accepted, 25,785 left after dropping duplicates; 63.0% zeros and a
    /// mean greatest weight of 0.652 in the 512 picked (over picks, the share
    /// of zeros has a standard deviation of 0.009).
    #[test]
    fn statistics_match_the_published_script() {
        let space = Space::new(pile());
        let drawn = RegMix::default()
            .draw(&space, 512, &mut stream(42, "design", "draw"))
            .unwrap();
        assert_eq!((drawn.mixtures.len(), drawn.tried), (512, 51_200));
        let share = drawn.accepted as f64 / drawn.tried as f64;
        assert!((share - 25_785.0 / 51_200.0).abs() < 0.02, "{share}");
        let all: Vec<f64> = (drawn.mixtures.iter().flat_map(Mixture::weights).copied()).collect();
        let zeros = all.iter().filter(|w| **w == 0.0).count() as f64 / all.len() as f64;
        assert!((zeros - 0.63).abs() < 0.03, "{zeros}");
        let top = (drawn.mixtures.iter())
            .map(|m| m.weights().iter().copied().fold(0.0, f64::max))
            .sum::<f64>()
            / 512.0;
        assert!((top - 0.652).abs() < 0.03, "{top}");
        // Rows sum to 1 within a few grid steps before rescaling, so every
        // weight is a multiple of the grid up to that factor.
        for m in &drawn.mixtures {
            for (w, p) in m.weights().iter().zip(pile().weights()) {
                assert!(*w <= (15.0 * p).min(1.0) + 0.01);
            }
        }
    }

    #[test]
    fn with_a_high_floor_it_finds_nothing_and_the_error_has_a_remedy() {
        let space = Space::new(pile()).with_floor(0.001).unwrap();
        let err = RegMix::default()
            .draw(&space, 64, &mut stream(42, "design", "draw"))
            .unwrap_err();
        assert!(err.help_text().unwrap().contains("floored"), "{err:?}");
    }
}
