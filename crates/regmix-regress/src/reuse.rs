//! Runs that were made before the set of domains changed.

use std::collections::BTreeMap;

use regmix_data::table::MixtureTable;
use regmix_data::{DomainSet, Error, Mixture, Result};

use crate::search::Surface;

/// Earlier runs over a new set of domains, by [`recast`].
#[derive(Debug, Clone, PartialEq)]
pub struct Recast {
    /// The runs that stay useful, over the new domains.
    pub mixtures: MixtureTable,
    /// Runs that used a domain which is gone: they say nothing of mixtures
    /// without it.
    pub dropped: Vec<String>,
}

/// Writes the mixtures of earlier runs over a new set of domains, exactly:
/// what is trained on does not change, only how it is named.
///
/// | an earlier domain | becomes |
/// |---|---|
/// | is in the new set | itself |
/// | is in `splits` | its parts, by their shares of its tokens; what the run saw is the same, since a domain is sampled evenly |
/// | is neither | gone: runs with weight on it are dropped |
///
/// New domains have weight 0 in earlier runs. Joined with a few new runs that
/// use them, earlier runs still tell what the others do: on the published
/// tables 16 new runs with the old ones predict better than 64 alone
/// (`benches/RESULTS.md`). Cost O(runs · domains).
///
/// ```
/// use std::collections::BTreeMap;
/// use regmix_data::{DomainSet, table::MixtureTable};
/// use regmix_regress::recast;
///
/// let old = MixtureTable::parse("run,web,code,spam\na,0.4,0.6,0\nb,0.5,0,0.5\n", "old.csv".as_ref())?;
/// // `code` was split by language, `spam` removed, `law` added.
/// let domains = DomainSet::from_names(["web", "rust", "c", "law"])?;
/// let splits = BTreeMap::from([("code".to_owned(), vec![("rust".to_owned(), 0.25), ("c".to_owned(), 0.75)])]);
/// let new = recast(&old, &domains, &splits)?;
/// assert_eq!(new.dropped, ["b"]);
/// let weights = new.mixtures.get("a").unwrap().weights();
/// for (found, expected) in weights.iter().zip([0.4, 0.15, 0.45, 0.0]) {
///     assert!((found - expected).abs() < 1e-12);
/// }
/// # Ok::<(), regmix_data::Error>(())
/// ```
///
/// # Errors
/// When a domain of `splits` is not among the earlier ones or still among the
/// new ones, a part is not among the new ones, or shares are not positive
/// numbers that sum to 1; and when no run is left.
pub fn recast(
    earlier: &MixtureTable,
    domains: &DomainSet,
    splits: &BTreeMap<String, Vec<(String, f64)>>,
) -> Result<Recast> {
    let old = earlier.domains();
    for (name, parts) in splits {
        old.require(name).map_err(|e| e.field("splits"))?;
        let sum: f64 = parts.iter().map(|p| p.1).sum();
        if domains.position(name).is_some() {
            return Err(Error::input(format!(
                "`{name}` is split and among the new domains: expected one of the two"
            ))
            .field("splits"));
        }
        let sound = parts.iter().all(|p| p.1 > 0.0) && (sum - 1.0).abs() <= Mixture::TOLERANCE;
        if !sound {
            return Err(Error::input(format!(
                "the parts of `{name}` have shares that sum to {sum}: expected positive shares \
                 that sum to 1"
            ))
            .field("splits")
            .help("give each part its share of the domain's tokens"));
        }
    }
    // Where the weight of every earlier domain goes; nowhere for those gone.
    let goes: Vec<Vec<(usize, f64)>> = (old.names())
        .map(|name| match (domains.position(name), splits.get(name)) {
            (Some(place), _) => Ok(vec![(place, 1.0)]),
            (None, Some(parts)) => (parts.iter())
                .map(|(part, share)| Ok((domains.require(part)?, *share)))
                .collect(),
            (None, None) => Ok(Vec::new()),
        })
        .collect::<Result<_>>()
        .map_err(|e| e.field("splits"))?;
    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
    for (run, mixture) in earlier.iter() {
        let mut weights = vec![0.0; domains.len()];
        let mut lost = false;
        for (weight, goes) in mixture.weights().iter().zip(&goes) {
            lost |= goes.is_empty() && *weight > 0.0;
            for (place, share) in goes {
                weights[*place] += share * weight;
            }
        }
        match lost {
            true => dropped.push(run.to_owned()),
            false => kept.push((run.to_owned(), Mixture::new(domains.clone(), weights)?)),
        }
    }
    if kept.is_empty() {
        let gone: Vec<&str> = (old.names().zip(&goes))
            .filter(|(_, goes)| goes.is_empty())
            .map(|(name, _)| name)
            .collect();
        return Err(Error::input(format!(
            "every earlier run used a domain that is gone ({}): nothing is left to use again",
            gone.join(", ")
        ))
        .help("if such a domain was split, say into which parts"));
    }
    Ok(Recast {
        mixtures: MixtureTable::new(domains.clone(), kept)?,
        dropped,
    })
}

/// Domains whose ratio is settled, taken as one (Olmix's virtual domain,
/// arXiv 2602.12237): when domains are added, split or removed, those that
/// did not change keep the ratio of an earlier optimum, and only their total
/// and the weights of the others are searched, and need new runs:
///
/// `w_j = v f_j` for a settled domain j with share f_j, Σ f = 1, where v is
/// the weight of the virtual domain.
///
/// Wins when few runs can be made: 1 + free dimensions instead of all. Loses
/// what the best ratio among the settled domains would gain by changing,
/// which is little as long as the new domains are about something else.
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
        let together = settled
            .iter()
            .zip(&self.frozen.ratio)
            .map(|(g, f)| g * f)
            .sum();
        std::iter::once(together)
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
    use crate::search::{DescendOptions, descend};
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

    #[test]
    fn what_cannot_be_used_again_is_refused_with_the_reason() {
        let old = "run,a,b\nx,0.5,0.5\ny,0.2,0.8\n";
        let old = MixtureTable::parse(old, "old.csv".as_ref()).unwrap();
        let new = DomainSet::from_names(["a", "c"]).unwrap();
        let err = recast(&old, &new, &BTreeMap::new()).unwrap_err();
        assert!(err.to_string().contains("is gone (b)"), "{err}");
        let split = |name: &str, parts: &[(&str, f64)]| {
            let parts = parts.iter().map(|(p, s)| ((*p).to_owned(), *s)).collect();
            recast(&old, &new, &BTreeMap::from([(name.to_owned(), parts)]))
        };
        assert!(split("b", &[("c", 0.9)]).is_err());
        assert!(split("b", &[("z", 1.0)]).is_err());
        assert!(split("a", &[("c", 1.0)]).is_err());
        assert!(split("q", &[("c", 1.0)]).is_err());
        let all = split("b", &[("c", 1.0)]).unwrap();
        assert_eq!(all.mixtures.get("y").unwrap().weights(), [0.2, 0.8]);
    }
}
