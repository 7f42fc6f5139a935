//! Validation sequences, read and decoded once for all runs of a fleet.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use regmix_data::{Result, TokenCorpus, ValidationSet};

/// The validation sequences of all domains.
#[derive(Debug)]
pub(super) struct Validation {
    /// In the order of the corpus.
    pub(super) domains: Vec<Domain>,
    /// All sequences, `context + 1` tokens each, end to end, domain by domain:
    /// a batch may hold the end of one domain and the start of the next.
    pub(super) tokens: Vec<u32>,
}

/// The part of one domain.
#[derive(Debug)]
pub(super) struct Domain {
    pub(super) name: String,
    pub(super) sequences: usize,
    pub(super) bytes_per_token: f64,
}

impl Validation {
    fn read(corpus: &TokenCorpus, context: usize, per_domain: usize) -> Result<Self> {
        let set = ValidationSet::new(corpus.clone(), context, per_domain)?;
        let mut domains = Vec::with_capacity(set.domains().len());
        let mut tokens = Vec::new();
        for (i, domain) in set.domains().iter().enumerate() {
            let at = tokens.len();
            tokens.resize(at + set.sequences(i) * (context + 1), 0);
            let sequences = set.fill_batch(i, 0, &mut tokens[at..])?;
            tokens.truncate(at + sequences * (context + 1));
            domains.push(Domain {
                name: domain.as_str().to_owned(),
                sequences,
                bytes_per_token: set.bytes_per_token(i),
            });
        }
        Ok(Self { domains, tokens })
    }
}

/// The validation sequences of runs of one corpus, by context and sequences per
/// domain.
#[derive(Debug, Default)]
pub(crate) struct SharedValidation(Mutex<BTreeMap<(usize, usize), Arc<Validation>>>);

impl SharedValidation {
    /// The sequences of these sizes, read at the first call.
    pub(super) fn get(
        &self,
        corpus: &TokenCorpus,
        context: usize,
        per_domain: usize,
    ) -> Result<Arc<Validation>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(&(context, per_domain)) {
            return Ok(Arc::clone(found));
        }
        let read = Arc::new(Validation::read(corpus, context, per_domain)?);
        known.insert((context, per_domain), Arc::clone(&read));
        Ok(read)
    }
}
