//! Losses of the mean of several models' weights, at many mixtures (DeMix).
//!
//! ```sh
//! cargo run --release --example merged -- STUDY/corpus STUDY/experts MIXTURES.csv 32 OUT.csv
//! ```
//!
//! The folder of experts holds `expert-1`, `expert-2`, ..., with kept weights, one for each
//! domain of the corpus in its order, as `[fit] experts` of a study trains them. For every
//! mixture the experts' weights are averaged with the mixture's weights, and the loss of that
//! model on so many validation sequences of every domain is written, in nats per token.

use std::path::PathBuf;

use regmix_data::table::{MixtureTable, ValueTable};
use regmix_data::{Error, Result, TokenCorpus, ValidationSet};
use regmix_model::{Device, DeviceSpec, TrainedModel};

/// Sequences of a batch.
const BATCH: usize = 8;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [corpus, experts, mixtures, sequences, out] = &arguments[..] else {
        return Err(Error::input(
            "expected a corpus, a folder of experts, a table of mixtures, a number of \
             sequences and a file to write",
        ));
    };
    let sequences = sequences
        .parse()
        .map_err(|e| Error::input(format!("{sequences}: expected a number of sequences ({e})")))?;
    let corpus = TokenCorpus::open(corpus)?;
    let domains = corpus.domains().clone();
    let mixtures = MixtureTable::read_csv(mixtures)?.reordered(&domains)?;
    let experts = (1..=domains.len())
        .map(|n| TrainedModel::of_run(&PathBuf::from(experts).join(format!("expert-{n}"))))
        .collect::<Result<Vec<_>>>()?;
    let context = experts[0].config().context;
    let set = ValidationSet::new(corpus, context, sequences)?;
    let texts = (0..domains.len())
        .map(|domain| {
            let mut tokens = vec![0; set.sequences(domain) * (context + 1)];
            set.fill_batch(domain, 0, &mut tokens)?;
            Ok(tokens)
        })
        .collect::<Result<Vec<_>>>()?;
    let device = Device::open(DeviceSpec::Cpu)?;
    let mut rows = Vec::new();
    for (run, mixture) in mixtures.iter() {
        let merged = TrainedModel::merged(&experts, mixture.weights())?;
        let mut trainer = merged.trainer(&device)?;
        let mut losses = Vec::new();
        for tokens in &texts {
            let each = trainer.evaluate(tokens, BATCH)?;
            losses.push(each.iter().sum::<f64>() / each.len() as f64);
        }
        rows.push((run.to_owned(), losses));
    }
    let names = domains.names().map(str::to_owned).collect();
    ValueTable::new(names, rows)?.write_csv(out)
}
