//! The natural mixture of the user's own runs.

use std::path::Path;

use regmix_data::table::MixtureTable;
use regmix_data::{DomainSet, Error, Mixture, Monitor, Result};

use crate::plain_mixture::{PlainMixture, published};

/// The natural mixture over the domains of a fit: the first row of a table, or a
/// mixture by its name, if that needs no tokens ([`PlainMixture::Uniform`],
/// [`PlainMixture::Pile`]).
///
/// # Errors
/// When the table cannot be read, the mixture is over other domains, or a mixture of
/// that name needs the tokens of a corpus.
pub fn prior_of(prior: &str, domains: &DomainSet, monitor: &dyn Monitor) -> Result<Mixture> {
    const OPTION: &str = "--prior";
    match prior.parse() {
        Err(_) => {
            let path = Path::new(prior);
            let table = MixtureTable::read_csv(path)?;
            (table.notes().iter()).for_each(|note| monitor.message(note));
            let first = table.mixtures()[0].reordered(domains);
            first.map_err(|e| e.in_file(path))
        }
        Ok(PlainMixture::Uniform) => Ok(Mixture::uniform(domains.clone())),
        Ok(PlainMixture::Pile(name)) => {
            published(name, domains, monitor).map_err(|e| e.field(OPTION))
        }
        Ok(other) => Err(Error::input(format!(
            "`{other}` is made from the tokens of a corpus, which a fit of tables does not have"
        ))
        .field(OPTION)
        .help(format!(
            "in a study of the corpus: regmix mixtures --method {other} --out prior.csv; then \
             --prior prior.csv"
        ))),
    }
}
