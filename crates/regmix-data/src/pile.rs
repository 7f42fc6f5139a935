//! Published mixtures of the Pile.

use serde::{Deserialize, Serialize};

use crate::domain::DomainSet;
use crate::error::{Error, Result};
use crate::mixture::Mixture;

/// A published mixture over domains of the Pile.
///
/// Domains are known by their names in the Pile (`Pile-CC`) and in the tables of
/// RegMix (`pile_cc`): case, spaces and signs do not count.
///
/// ```
/// use regmix_data::{DomainSet, PileMixture};
///
/// let domains = DomainSet::from_names(["pile_cc", "Github"])?;
/// let (mixture, share) = PileMixture::Human.over(&domains)?;
/// assert!((mixture.get("Github").unwrap() - 0.0427 / (0.0427 + 0.1121)).abs() < 1e-12);
/// // The two have 15 % of the weight of all domains.
/// assert!((share - 0.1548).abs() < 1e-4);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PileMixture {
    /// Chosen by people: the weights of the Pile itself (Gao et al., arXiv
    /// 2101.00027), over 22 domains, as in table 1 of DoReMi.
    Human,
    /// DoReMi's with a proxy of 280 million parameters (Xie et al., arXiv 2305.10429),
    /// over 22 domains.
    DoReMi,
    /// RegMix's (Liu et al., arXiv 2407.01492), over 17 domains: those of its
    /// configuration for a model of a billion parameters.
    RegMix,
}

impl PileMixture {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Human, Self::DoReMi, Self::RegMix];

    /// `human`, `doremi` or `regmix`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::DoReMi => "doremi",
            Self::RegMix => "regmix",
        }
    }

    /// The mixture over some of its domains, rescaled, and the share of the published
    /// weight that these domains have.
    ///
    /// # Errors
    /// When there is no published weight for a domain, or two names mean the same one.
    pub fn over(self, domains: &DomainSet) -> Result<(Mixture, f64)> {
        let mut rows: Vec<usize> = Vec::new();
        for name in domains.names() {
            let row = WEIGHTS.iter().position(|row| row.0 == plain(name));
            let known = row.filter(|row| self.published(*row).is_some());
            let row = known.ok_or_else(|| {
                Error::input(format!(
                    "`pile:{}` has no weight for domain `{name}`: expected domains of the Pile",
                    self.as_str()
                ))
                .help(format!("it has weights for {}", self.names().join(", ")))
            })?;
            if rows.contains(&row) {
                return Err(Error::input(format!(
                    "domain `{name}` is there under two names: expected every domain of the Pile once"
                )));
            }
            rows.push(row);
        }
        let weight = |row: usize| self.published(row).unwrap_or(0.0);
        let all: f64 = (0..WEIGHTS.len()).map(weight).sum();
        let weights: Vec<f64> = rows.into_iter().map(weight).collect();
        let share = weights.iter().sum::<f64>() / all;
        Ok((Mixture::normalized(domains.clone(), weights)?, share))
    }

    /// The published weight in a row, if there is one.
    fn published(self, row: usize) -> Option<f64> {
        let (_, human, doremi, regmix) = WEIGHTS[row];
        match self {
            Self::Human => Some(human),
            Self::DoReMi => Some(doremi),
            Self::RegMix => regmix,
        }
    }

    fn names(self) -> Vec<&'static str> {
        let rows = (0..WEIGHTS.len()).filter(|row| self.published(*row).is_some());
        rows.map(|row| WEIGHTS[row].0).collect()
    }
}

/// Letters and digits of a name, in lower case.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// Domain, and its weights: human, DoReMi, RegMix. Tokens of DoReMi are those of
/// another tokenizer (256k entries) than RegMix's, for which it was not searched.
type Row = (&'static str, f64, f64, Option<f64>);

const WEIGHTS: [Row; 22] = [
    ("arxiv", 0.1052, 0.0036, Some(0.001_205)),
    ("bookcorpus2", 0.0044, 0.0061, None),
    ("books3", 0.0676, 0.0224, None),
    ("dmmathematics", 0.0198, 0.0018, Some(0.000_311)),
    ("enronemails", 0.0030, 0.0070, Some(0.001_669)),
    ("europarl", 0.0043, 0.0062, Some(0.000_003)),
    ("freelaw", 0.0386, 0.0043, Some(0.001_455)),
    ("github", 0.0427, 0.0179, Some(0.000_229)),
    ("gutenbergpg19", 0.0199, 0.0072, Some(0.001_613)),
    ("hackernews", 0.0075, 0.0134, Some(0.011_926)),
    ("nihexporter", 0.0052, 0.0063, Some(0.001_232)),
    ("opensubtitles", 0.0124, 0.0047, None),
    ("openwebtext2", 0.1247, 0.1019, None),
    ("philpapers", 0.0027, 0.0274, Some(0.000_013)),
    ("pilecc", 0.1121, 0.6057, Some(0.870_129)),
    ("pubmedabstracts", 0.0845, 0.0113, Some(0.024_244)),
    ("pubmedcentral", 0.1071, 0.0046, Some(0.003_109)),
    ("stackexchange", 0.0929, 0.0153, Some(0.000_295)),
    ("ubuntuirc", 0.0074, 0.0093, Some(0.064_177)),
    ("usptobackgrounds", 0.0420, 0.0036, Some(0.002_459)),
    ("wikipediaen", 0.0919, 0.0699, Some(0.015_933)),
    ("youtubesubtitles", 0.0042, 0.0502, None),
];

#[cfg(test)]
mod tests {
    use super::*;

    const REGMIX: [&str; 17] = [
        "arxiv",
        "freelaw",
        "nih_exporter",
        "pubmed_central",
        "wikipedia_en",
        "dm_mathematics",
        "github",
        "philpapers",
        "stackexchange",
        "enron_emails",
        "gutenberg_pg_19",
        "pile_cc",
        "ubuntu_irc",
        "europarl",
        "hackernews",
        "pubmed_abstracts",
        "uspto_backgrounds",
    ];

    #[test]
    fn all_weights_sum_to_one_as_far_as_they_are_printed() {
        for mixture in PileMixture::ALL {
            let rows = 0..WEIGHTS.len();
            let sum: f64 = rows.filter_map(|row| mixture.published(row)).sum();
            assert!((sum - 1.0).abs() < 2e-4, "{mixture:?}: {sum}");
        }
    }

    /// RegMix's tables and its paper leave five domains out and rescale the others.
    #[test]
    fn over_the_domains_of_regmix_the_mixtures_are_those_of_its_paper() {
        let domains = DomainSet::from_names(REGMIX).unwrap();
        for (mixture, share, expected) in [
            (PileMixture::Human, 0.7868, [0.1337, 0.1425, 0.1361]),
            (PileMixture::DoReMi, 0.8148, [0.0044, 0.7434, 0.0056]),
            (PileMixture::RegMix, 1.0, [0.0012, 0.8701, 0.0031]),
        ] {
            let (found, covered) = mixture.over(&domains).unwrap();
            assert!((covered - share).abs() < 2e-4, "{mixture:?}: {covered}");
            for (name, weight) in ["arxiv", "pile_cc", "pubmed_central"].iter().zip(expected) {
                let found = found.get(name).unwrap();
                assert!((found - weight).abs() < 1e-4, "{mixture:?} {name}: {found}");
            }
        }
    }

    #[test]
    fn the_names_of_the_pile_are_known() {
        let names = [
            "Gutenberg (PG-19)",
            "Wikipedia (en)",
            "NIH ExPorter",
            "USPTO Backgrounds",
        ];
        let domains = DomainSet::from_names(names).unwrap();
        let (mixture, _) = PileMixture::RegMix.over(&domains).unwrap();
        let sum = 0.001_613 + 0.015_933 + 0.001_232 + 0.002_459;
        assert!((mixture.weights()[1] - 0.015_933 / sum).abs() < 1e-12);
    }

    #[test]
    fn unknown_domains_are_named() {
        let refused = |mixture: PileMixture, names: &[&str]| {
            let domains = DomainSet::from_names(names.iter().copied()).unwrap();
            mixture.over(&domains).unwrap_err()
        };
        let err = refused(PileMixture::Human, &["pile_cc", "web"]);
        assert_eq!(
            err.problem(),
            "`pile:human` has no weight for domain `web`: expected domains of the Pile"
        );
        let help = err.help_text().unwrap();
        assert!(
            help.starts_with("it has weights for arxiv, bookcorpus2,"),
            "{help}"
        );
        // RegMix did not use it.
        let err = refused(PileMixture::RegMix, &["books3"]);
        assert_eq!(
            err.problem(),
            "`pile:regmix` has no weight for domain `books3`: expected domains of the Pile"
        );
        let err = refused(PileMixture::Human, &["pile_cc", "Pile-CC"]);
        assert_eq!(
            err.problem(),
            "domain `Pile-CC` is there under two names: expected every domain of the Pile once"
        );
    }
}
