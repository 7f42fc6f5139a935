//! A corpus that regmix cannot read by itself: messages of a mailbox, one file for
//! each domain, become token shards, which a loader then mixes.
//!
//! ```sh
//! cargo run --release -p regmix-data --features shards --example own_corpus_reader
//! ```
#![allow(clippy::print_stdout)] // Its result goes there.

use regmix_data::manifest::TokenizerEntry;
use regmix_data::shard::Split;
use regmix_data::{CorpusWriter, DomainSet, Loader, LoaderConfig, Mixture, Result, TokenCorpus};

/// Bytes are the tokens here; this one ends a document.
const END: u32 = 256;

/// The texts of a mailbox: what stands between lines that begin with `From `, without
/// headers.
fn messages(mailbox: &str) -> impl Iterator<Item = &str> {
    let messages = mailbox
        .split("\nFrom ")
        .map(|m| m.trim_start_matches("From "));
    messages.filter_map(|m| Some(m.split_once("\n\n")?.1.trim()))
}

fn main() -> Result<()> {
    let mailbox = |topic: &str| -> String {
        let message = |i: usize| {
            format!("From a@example.org\nSubject: {topic}\n\n{topic} number {i}, and more.\n\n")
        };
        (0..200).map(message).collect()
    };
    let mailboxes = [("rust", mailbox("borrow")), ("cooking", mailbox("soup"))];

    let folder = std::env::temp_dir().join(format!("regmix-example-{}", std::process::id()));
    let domains = DomainSet::from_names(mailboxes.iter().map(|(domain, _)| *domain))?;
    let tokenizer = TokenizerEntry {
        kind: "bytes".into(),
        hash: "none".into(),
        vocab_size: END + 1,
        separator: END,
    };
    let mut writer = CorpusWriter::create(&folder, domains.clone(), tokenizer)?;
    for (domain, (_, mailbox)) in mailboxes.iter().enumerate() {
        for (i, text) in messages(mailbox).enumerate() {
            let tokens: Vec<u32> = text.bytes().map(u32::from).chain([END]).collect();
            // Every tenth message judges.
            let split = if i % 10 == 0 {
                Split::Valid
            } else {
                Split::Train
            };
            writer.push(domain, split, &tokens, text.len() as u64)?;
        }
    }
    writer.finish()?;
    let corpus = TokenCorpus::open(&folder)?;
    assert_eq!(corpus.manifest().domains[0].train.documents, 180);
    for (domain, name) in domains.names().enumerate() {
        println!(
            "{name}: {} tokens",
            corpus.stream(domain, Split::Train).tokens()
        );
    }
    read(&corpus, Mixture::new(domains, vec![0.75, 0.25])?)?;
    let _ = std::fs::remove_dir_all(folder);
    Ok(())
}

/// Reads a batch of a run on a mixture, as training does.
fn read(corpus: &TokenCorpus, mixture: Mixture) -> Result<()> {
    const LENGTH: usize = 16;
    let mut loader = Loader::new(corpus.clone(), mixture, LoaderConfig::new(LENGTH, 42, "a"))?;
    let mut batch = vec![0; 8 * (LENGTH + 1)];
    loader.fill_batch(0, &mut batch)?;
    let first: Vec<u8> = (batch[..LENGTH].iter())
        .map(|token| u8::try_from(*token).unwrap_or(b'|'))
        .collect();
    println!("a sequence: {}", String::from_utf8_lossy(&first));
    let epochs = loader.implied_epochs(1000);
    println!("epochs after 1000 sequences: {epochs:.1?}");
    // Three times the weight, over a text that is a little longer.
    assert!((2.5..3.0).contains(&(epochs[0] / epochs[1])));
    assert!(batch.iter().all(|token| *token <= END));
    Ok(())
}
