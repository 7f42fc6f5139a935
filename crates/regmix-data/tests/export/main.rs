//! Mixtures in the formats of trainers: golden files, and what is refused.
//!
//! `REGMIX_GOLDEN=write` writes the files of `golden/` again. `ci/export.py` reads
//! the same formats with their own readers, where these can be installed.

mod golden;
mod refused;
mod rounding;

use regmix_data::exchange::{ExportOptions, ExportPlan, Exported, Mapping, Trainer, export};
use regmix_data::{DomainSet, Mixture, Result};

/// Domains of the mixture below; the last one has weight 0.
const DOMAINS: [&str; 4] = ["web", "code", "law", "old"];
const WEIGHTS: [f64; 4] = [0.55, 0.3, 0.15, 0.0];

fn mixture(weights: [f64; 4]) -> Mixture {
    let domains = DomainSet::from_names(DOMAINS).unwrap();
    Mixture::new(domains, weights.to_vec()).unwrap()
}

fn plan() -> ExportPlan {
    ExportPlan::of_mixture(mixture(WEIGHTS))
}

/// Mixtures that change at two steps of 6000.
fn stages() -> ExportPlan {
    let switches = vec![
        (0, mixture(WEIGHTS)),
        (2048, mixture([0.6, 0.4, 0.0, 0.0])),
        (4096, mixture([1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 0.0])),
    ];
    ExportPlan::of_switches(switches, 6000, 12e9).unwrap()
}

/// Where the data of a domain lies, as a trainer expects it.
fn place(trainer: Trainer) -> &'static str {
    match trainer {
        Trainer::OlmoCore | Trainer::Olmix => "/data/DOMAIN/*.npy",
        Trainer::HfDatasets => "/data/DOMAIN/*.jsonl.zst",
        Trainer::RegmixYaml | Trainer::TinyLlama => "train_DOMAIN",
        Trainer::MosaicStreaming => "s3://data/DOMAIN",
        _ => "/data/DOMAIN_text_document",
    }
}

/// A mapping with everything that any trainer needs.
fn mapping(place: &str) -> Mapping {
    let mut text = String::from(
        "[run]\ntokens = 12e9\nsequence_length = 4096\nbatch_size = 512\nmax_epochs = 4.0\n",
    );
    let amounts = [
        (8_000_000_000u64, 8_000_000, 32_000_000_000u64),
        (3_000_000_000, 1_000_000, 9_000_000_000),
        (1_000_000_000, 50_000, 5_000_000_000),
        (500_000_000, 1_000_000, 2_000_000_000),
    ];
    for (domain, (tokens, documents, bytes)) in DOMAINS.iter().zip(amounts) {
        let place = place.replace("DOMAIN", domain);
        text.push_str(&format!(
            "[domains.{domain}]\npath = {place:?}\ntokens = {tokens}\ndocuments = {documents}\n\
             bytes = {bytes}\n"
        ));
    }
    toml::from_str(&text).unwrap()
}

/// The mapping of a trainer, with validation and test text of `web`.
fn whole_mapping(trainer: Trainer) -> Mapping {
    let mut out = mapping(place(trainer));
    let web = out.domains.get_mut("web").unwrap();
    web.valid = Some(place(trainer).replace("DOMAIN", "valid"));
    web.test = Some(place(trainer).replace("DOMAIN", "test"));
    out
}

fn exported(plan: &ExportPlan, mapping: &Mapping, trainer: Trainer) -> Result<Exported> {
    export(plan, mapping, trainer, &ExportOptions::default())
}
