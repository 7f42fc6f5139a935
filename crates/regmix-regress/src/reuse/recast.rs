//! Mixtures of earlier runs over another set of domains.

use std::collections::BTreeMap;

use regmix_data::table::MixtureTable;
use regmix_data::{DomainSet, Error, Mixture, Result};

/// Earlier runs over a new set of domains, by [`recast`].
#[derive(Debug, Clone, PartialEq)]
pub struct Recast {
    /// The runs that stay useful, over the new domains.
    pub mixtures: MixtureTable,
    /// Runs that used a domain which was removed: they are not informative
    /// about mixtures without it.
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
/// use them, earlier runs still show the effects of the others: on the published
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

#[cfg(test)]
mod tests {
    use super::*;

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
        for (name, part, share, expected) in [
            ("b", "c", 0.9, "shares that sum to 0.9"),
            ("b", "z", 1.0, "unknown domain `z`"),
            ("a", "c", 1.0, "split and among the new domains"),
            ("q", "c", 1.0, "unknown domain `q`"),
        ] {
            let err = split(name, &[(part, share)]).unwrap_err();
            assert!(err.to_string().contains(expected), "{err}");
        }
        let all = split("b", &[("c", 1.0)]).unwrap();
        assert_eq!(all.mixtures.get("y").unwrap().weights(), [0.2, 0.8]);
    }
}
