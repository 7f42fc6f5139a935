//! A training loop of your own: a tiny model, a mixture that changes during training,
//! and the loss of every step.
//!
//! ```sh
//! cargo run --release -p regmix-model --example steps
//! ```
#![allow(clippy::print_stdout)] // Its result goes there.

use regmix_data::manifest::TokenizerEntry;
use regmix_data::shard::Split;
use regmix_data::{CorpusWriter, DomainSet, Loader, LoaderConfig, Mixture, Result, TokenCorpus};
use regmix_model::{AdamWConfig, Device, DeviceSpec, ModelConfig, Trainer};

const CONTEXT: usize = 32;
const BATCH: usize = 8;

/// Two domains of bytes: one that repeats itself, one that counts.
fn corpus(folder: &std::path::Path) -> Result<TokenCorpus> {
    let domains = DomainSet::from_names(["songs", "numbers"])?;
    let tokenizer = TokenizerEntry {
        kind: "bytes".into(),
        hash: "none".into(),
        vocab_size: 257,
        separator: 256,
    };
    let mut writer = CorpusWriter::create(folder, domains, tokenizer)?;
    for i in 0..400 {
        let song = format!("la la la, {} times la\n", i % 7);
        for (domain, text) in [song, format!("{i} and {} and {}\n", i + 1, i + 2)]
            .iter()
            .enumerate()
        {
            let tokens: Vec<u32> = text.bytes().map(u32::from).chain([256]).collect();
            writer.push(domain, Split::Train, &tokens, text.len() as u64)?;
        }
    }
    writer.finish()?;
    TokenCorpus::open(folder)
}

fn main() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("regmix-steps-{}", std::process::id()));
    let corpus = corpus(&folder)?;
    let mixture = |songs: f64| Mixture::new(corpus.domains().clone(), vec![songs, 1.0 - songs]);

    let mut loader = Loader::new(
        corpus.clone(),
        mixture(0.9)?,
        LoaderConfig::new(CONTEXT, 1, "a"),
    )?;
    // From step 30 on, mostly numbers.
    loader.change_mixture(30 * BATCH as u64, mixture(0.1)?)?;

    let model = ModelConfig {
        layers: 1,
        d_model: 32,
        heads: 2,
        kv_heads: 2,
        d_ff: 64,
        context: CONTEXT,
        ..ModelConfig::preset("nano", 257)?
    };
    let device = Device::open(DeviceSpec::Cpu)?;
    let mut trainer = Trainer::new(&model, AdamWConfig::default(), 1, &device)?;
    let mut tokens = vec![0; BATCH * (CONTEXT + 1)];
    let mut losses = Vec::new();
    for step in 0..60 {
        loader.fill_batch(step * BATCH as u64, &mut tokens)?;
        let outcome = trainer.step(&tokens, BATCH, 4e-3)?;
        losses.push(outcome.loss);
        if step % 10 == 9 {
            let weights = loader.mixture_at(step * BATCH as u64).weights();
            println!(
                "step {:2}, mixture {weights:.1?}: loss {:.3}",
                step + 1,
                outcome.loss
            );
        }
    }
    // It learns, and notices that the text has changed.
    assert!(losses[29] < 0.7 * losses[0] && losses[59] < losses[31]);
    let _ = std::fs::remove_dir_all(folder);
    Ok(())
}
