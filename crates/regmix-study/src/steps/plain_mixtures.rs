//! Mixtures that need no run, over the corpus of a study.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use regmix_data::entropy::{DomainEntropy, EntropyOptions, entropy_mixture, measure};
use regmix_data::sealed::{read_sealed, write_sealed};
use regmix_data::table::MixtureTable;
use regmix_data::{Error, Mixture, Monitor, PileMixture, Result, TokenCorpus};
use regmix_regress::{Utilities, utilimax};
use serde::{Deserialize, Serialize};

use super::limits;
use crate::files;
use crate::plain_mixture::{PlainMixture, published};
use crate::study::{Study, natural_mixture};

/// Mixtures that need no run, and the entropies that some of them follow from.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PlainMixtures {
    /// The mixtures by name, in the order that was asked for.
    pub mixtures: Vec<NamedMixture>,
    /// The entropies of all domains in nats; empty where no mixture needs them.
    pub entropies: Vec<DomainEntropy>,
}

/// One of them.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct NamedMixture {
    /// Its name.
    pub name: PlainMixture,
    /// The weights.
    pub mixture: Mixture,
}

impl PlainMixtures {
    /// As a table of mixtures; the runs are called as the mixtures are.
    ///
    /// # Errors
    /// When a mixture is there twice.
    pub fn table(&self) -> Result<MixtureTable> {
        let domains = self.mixtures.first().map(|m| m.mixture.domains().clone());
        let rows = (self.mixtures.iter()).map(|m| (m.name.to_string(), m.mixture.clone()));
        match domains {
            Some(domains) => MixtureTable::new(domains, rows),
            None => Err(Error::input("no mixture: expected at least one")),
        }
    }
}

/// The mixtures of the given names; if there is none, one of every kind that suits
/// the corpus. `utilities` takes the place of the file that the study names.
pub(crate) fn plain_mixtures(
    study: &Study,
    names: &[PlainMixture],
    utilities: Option<&Path>,
    monitor: &dyn Monitor,
) -> Result<PlainMixtures> {
    let corpus = study.checked_corpus(monitor)?;
    let mut maker = Maker::new(study, &corpus, monitor);
    if let Some(path) = utilities {
        maker.utilities = Some(path.to_path_buf());
    }
    let names = match names {
        [] => {
            let domains = corpus.domains();
            let mut all = PlainMixture::all();
            all.extend((maker.utilities.is_some()).then_some(PlainMixture::Utilimax));
            let known = (PileMixture::ALL.into_iter()).filter(|m| m.over(domains).is_ok());
            all.extend(known.map(PlainMixture::Pile));
            all
        }
        _ => names.to_vec(),
    };
    let mixtures = (names.into_iter())
        .map(|name| {
            let mixture = maker.make(name)?;
            Ok(NamedMixture { name, mixture })
        })
        .collect::<Result<_>>()?;
    Ok(PlainMixtures {
        mixtures,
        entropies: maker.entropies.into_inner().unwrap_or_default(),
    })
}

/// Makes mixtures over a corpus, and measures its entropies when the first of them
/// needs these.
pub(super) struct Maker<'a> {
    study: &'a Study,
    corpus: &'a TokenCorpus,
    monitor: &'a dyn Monitor,
    entropies: OnceCell<Vec<DomainEntropy>>,
    /// The table of utilities, where one is named.
    utilities: Option<PathBuf>,
    utilimax: OnceCell<Mixture>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(study: &'a Study, corpus: &'a TokenCorpus, monitor: &'a dyn Monitor) -> Self {
        Self {
            study,
            corpus,
            monitor,
            entropies: OnceCell::new(),
            utilities: study.config().compare.utilities(study.root()),
            utilimax: OnceCell::new(),
        }
    }

    /// The mixture of a name, over the domains of the corpus in their order.
    pub(super) fn make(&self, name: PlainMixture) -> Result<Mixture> {
        let domains = self.corpus.domains().clone();
        let manifest = self.corpus.manifest();
        match name {
            PlainMixture::Natural => natural_mixture(manifest),
            PlainMixture::Uniform => Ok(Mixture::uniform(domains)),
            PlainMixture::Temperature(power) => natural_mixture(manifest)?.tempered(power),
            PlainMixture::Unimax => {
                let tokens = limits::target_tokens(self.study)?;
                let constraints = &self.study.config().constraints;
                limits::budget(manifest, constraints, tokens).unimax(&domains)
            }
            PlainMixture::Utilimax => self.utilimax(),
            PlainMixture::Entropy(kind, base) => {
                let entropies = match self.entropies.get() {
                    Some(known) => known,
                    None => {
                        let measured = entropies(self.corpus, self.monitor)?;
                        self.entropies.get_or_init(|| measured)
                    }
                };
                entropy_mixture(entropies, kind, base)
            }
            PlainMixture::Pile(name) => published(name, &domains, self.monitor),
        }
    }

    /// The mixture by the utilities that are named, within the limits of the study.
    fn utilimax(&self) -> Result<Mixture> {
        if let Some(made) = self.utilimax.get() {
            return Ok(made.clone());
        }
        let path = self.utilities.as_ref().ok_or_else(|| {
            Error::input("`utilimax` needs utilities of the domains for tasks").help(
                "name a table with a row `domain,<task>...` for every domain: `utilities` in \
                 [compare], or `regmix mixtures --utilities CSV`",
            )
        })?;
        let utilities = Utilities::read_csv(path, self.corpus.domains())?;
        (utilities.notes().iter()).for_each(|note| self.monitor.message(note));
        let limits = limits::constraints(self.study, self.corpus.manifest())?;
        let made = utilimax(&utilities, Some(&limits))?;
        Ok(self.utilimax.get_or_init(|| made).clone())
    }
}

/// What was measured of a corpus.
#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    /// Of the corpus.
    fingerprint: String,
    options: EntropyOptions,
    entropies: Vec<DomainEntropy>,
}

const VERSION: u32 = 1;

/// The entropies of a corpus, measured once.
fn entropies(corpus: &TokenCorpus, monitor: &dyn Monitor) -> Result<Vec<DomainEntropy>> {
    let path = corpus.folder().join(files::ENTROPIES);
    let options = EntropyOptions::default();
    // A damaged record only costs time.
    if let Ok(record) = read_sealed::<Record>(&path, VERSION, "")
        && record.fingerprint == corpus.fingerprint()
        && record.options == options
    {
        return Ok(record.entropies);
    }
    let record = Record {
        version: VERSION,
        fingerprint: corpus.fingerprint().to_owned(),
        entropies: measure(corpus, &options, monitor)?,
        options,
    };
    // So does a folder that cannot be written.
    write_sealed(&path, &record).ok();
    Ok(record.entropies)
}
