//! Domains whose ratio is settled.

use regmix_data::{DomainSet, Mixture, Result};

use crate::numeric::slices::dot;
use crate::search::surface::Surface;

/// Domains whose proportions among themselves are fixed, treated as one (Olmix's virtual
/// domain, arXiv 2602.12237): when domains are added, split or removed, those that did not
/// change keep the ratio of an earlier optimum, and only their total and the weights of the
/// others are searched, and need new runs:
///
/// `w_j = v f_j` for a settled domain j with share f_j, Σ f = 1, where v is
/// the weight of the virtual domain.
///
/// Wins when few runs can be made: 1 + free dimensions instead of all. Loses what a change
/// of the proportions among these domains would gain, which is little as long as the new
/// domains are unrelated to them.
///
/// ```
/// use regmix_data::{DomainSet, Mixture};
/// use regmix_regress::Frozen;
///
/// let settled = Mixture::new(DomainSet::from_names(["web", "books"])?, vec![0.75, 0.25])?;
/// let frozen = Frozen::new("settled", &settled, &["code"])?;
/// assert_eq!(frozen.domains().names().collect::<Vec<_>>(), ["settled", "code"]);
/// let small = Mixture::new(frozen.domains().clone(), vec![0.8, 0.2])?;
/// let full = frozen.expand(&small)?;
/// assert!((full.get("web").unwrap() - 0.6).abs() < 1e-12);
/// assert!(frozen.reduce(&full)?.unwrap().tv_distance(&small) < 1e-12);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Frozen {
    /// The virtual domain, then the free ones.
    reduced: DomainSet,
    /// The settled domains, then the free ones.
    full: DomainSet,
    /// Shares of the settled ones.
    ratio: Vec<f64>,
}

impl Frozen {
    /// How far a mixture may be from the settled ratio, in total variation,
    /// for [`Frozen::reduce`] to take it: published weights are rounded to
    /// 0.001.
    pub const TOLERANCE: f64 = 0.01;

    /// Settles the ratio of the domains of a mixture, as one domain of a name
    /// of its own; `free` are the others.
    ///
    /// # Errors
    /// When a name is not valid or comes twice.
    pub fn new(name: &str, ratio: &Mixture, free: &[&str]) -> Result<Self> {
        let with =
            |first: Vec<&str>| DomainSet::from_names(first.into_iter().chain(free.iter().copied()));
        Ok(Self {
            reduced: with(vec![name])?,
            full: with(ratio.domains().names().collect())?,
            ratio: ratio.weights().to_vec(),
        })
    }

    /// The virtual domain and the free ones: what is searched.
    pub fn domains(&self) -> &DomainSet {
        &self.reduced
    }

    /// All domains, the settled ones first.
    pub fn all_domains(&self) -> &DomainSet {
        &self.full
    }

    /// A mixture over [`Frozen::domains`] as one over all.
    ///
    /// # Errors
    /// When it is over other domains.
    pub fn expand(&self, reduced: &Mixture) -> Result<Mixture> {
        let reduced = reduced.reordered(&self.reduced)?;
        Mixture::normalized(self.full.clone(), self.expanded(reduced.weights()))
    }

    /// A mixture over all domains as one over [`Frozen::domains`]; `None`
    /// where its settled domains have another ratio, by more than
    /// [`Frozen::TOLERANCE`].
    ///
    /// # Errors
    /// When it is over other domains.
    pub fn reduce(&self, full: &Mixture) -> Result<Option<Mixture>> {
        let full = full.reordered(&self.full)?;
        let (settled, free) = full.weights().split_at(self.ratio.len());
        let total: f64 = settled.iter().sum();
        let apart: f64 = (settled.iter().zip(&self.ratio))
            .map(|(w, f)| (w - total * f).abs())
            .sum();
        if 0.5 * apart > Self::TOLERANCE {
            return Ok(None);
        }
        let weights = std::iter::once(total).chain(free.iter().copied()).collect();
        Mixture::normalized(self.reduced.clone(), weights).map(Some)
    }

    /// A surface over all domains, seen over [`Frozen::domains`]: for
    /// [`descend`](crate::search::descend) on a [`Scorer`](crate::Scorer) of
    /// old and new runs together.
    ///
    /// # Errors
    /// When the surface is over other domains.
    pub fn surface<'a, S: Surface + ?Sized>(&'a self, of: &'a S) -> Result<impl Surface + 'a> {
        for name in of.domains().names() {
            self.full.require(name)?;
        }
        let places = (self.full.names())
            .map(|name| of.domains().require(name))
            .collect::<Result<_>>()?;
        Ok(Reduced {
            frozen: self,
            of,
            places,
        })
    }

    fn expanded(&self, reduced: &[f64]) -> Vec<f64> {
        let settled = self.ratio.iter().map(|f| reduced[0] * f);
        settled.chain(reduced[1..].iter().copied()).collect()
    }
}

struct Reduced<'a, S: ?Sized> {
    frozen: &'a Frozen,
    of: &'a S,
    /// The place in the surface of every domain.
    places: Vec<usize>,
}

impl<S: Surface + ?Sized> Reduced<'_, S> {
    fn at(&self, reduced: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.places.len()];
        for (place, weight) in self.places.iter().zip(self.frozen.expanded(reduced)) {
            out[*place] = weight;
        }
        out
    }

    fn slopes(&self, full: &[f64]) -> Vec<f64> {
        let slopes: Vec<f64> = self.places.iter().map(|&place| full[place]).collect();
        let (settled, free) = slopes.split_at(self.frozen.ratio.len());
        std::iter::once(dot(settled, &self.frozen.ratio))
            .chain(free.iter().copied())
            .collect()
    }
}

impl<S: Surface + ?Sized> Surface for Reduced<'_, S> {
    fn domains(&self) -> &DomainSet {
        &self.frozen.reduced
    }

    fn value(&self, weights: &[f64]) -> f64 {
        self.of.value(&self.at(weights))
    }

    fn gradient(&self, weights: &[f64]) -> Option<Vec<f64>> {
        Some(self.slopes(&self.of.gradient(&self.at(weights))?))
    }

    fn value_and_gradient(&self, weights: &[f64]) -> (f64, Option<Vec<f64>>) {
        let (value, gradient) = self.of.value_and_gradient(&self.at(weights));
        (value, gradient.map(|g| self.slopes(&g)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constraints::Constraints;
    use crate::search::descend::descend;
    use crate::search::options::DescendOptions;
    use proptest::prelude::*;

    /// Σ (w_j - goal_j)².
    struct Bowl(DomainSet, Vec<f64>);

    impl Surface for Bowl {
        fn domains(&self) -> &DomainSet {
            &self.0
        }
        fn value(&self, w: &[f64]) -> f64 {
            w.iter().zip(&self.1).map(|(w, g)| (w - g).powi(2)).sum()
        }
        fn gradient(&self, w: &[f64]) -> Option<Vec<f64>> {
            Some(w.iter().zip(&self.1).map(|(w, g)| 2.0 * (w - g)).collect())
        }
    }

    fn frozen() -> Frozen {
        let settled = DomainSet::from_names(["a", "b"]).unwrap();
        let ratio = Mixture::new(settled, vec![0.25, 0.75]).unwrap();
        Frozen::new("ab", &ratio, &["c", "d"]).unwrap()
    }

    proptest! {
        #[test]
        fn what_is_expanded_reduces_to_itself(w in prop::collection::vec(0.01f64..1.0, 3)) {
            let frozen = frozen();
            let small = Mixture::normalized(frozen.domains().clone(), w).unwrap();
            let full = frozen.expand(&small).unwrap();
            prop_assert!((full.weights().iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let back = frozen.reduce(&full).unwrap().unwrap();
            prop_assert!(back.tv_distance(&small) < 1e-12);
        }

        #[test]
        fn slopes_match_finite_differences(w in prop::collection::vec(0.05f64..1.0, 3)) {
            let frozen = frozen();
            // In another order than that of the frozen set.
            let bowl = Bowl(DomainSet::from_names(["d", "b", "a", "c"]).unwrap(), vec![0.1, 0.4, 0.3, 0.2]);
            let surface = frozen.surface(&bowl).unwrap();
            let slopes = surface.gradient(&w).unwrap();
            for j in 0..3 {
                let (mut up, mut down) = (w.clone(), w.clone());
                up[j] += 1e-5;
                down[j] -= 1e-5;
                let numeric = (surface.value(&up) - surface.value(&down)) / 2e-5;
                prop_assert!((numeric - slopes[j]).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_optimum_of_the_reduced_space_keeps_the_ratio() {
        let frozen = frozen();
        let bowl = Bowl(frozen.all_domains().clone(), vec![0.15, 0.45, 0.3, 0.1]);
        let found = descend(
            &frozen.surface(&bowl).unwrap(),
            &[Mixture::uniform(frozen.domains().clone())],
            &Constraints::none(frozen.domains().clone()),
            &DescendOptions::default(),
        )
        .unwrap();
        let full = frozen.expand(&found.mixture).unwrap();
        for (found, goal) in full.weights().iter().zip(&bowl.1) {
            assert!((found - goal).abs() < 1e-2, "{full:?}");
        }
        let other = Mixture::uniform(frozen.all_domains().clone());
        assert_eq!(frozen.reduce(&other).unwrap(), None);
        assert!(
            frozen
                .surface(&Bowl(frozen.domains().clone(), vec![0.0; 3]))
                .is_err()
        );
    }
}
