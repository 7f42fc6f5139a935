//! The text of the demo.

use regmix_study::DemoCorpus;

use crate::output::table::table;

/// Megabytes of every domain.
pub(crate) fn demo_corpus(corpus: &DemoCorpus) -> String {
    let rows = corpus.sizes().into_iter().map(|(kind, [train, valid])| {
        let megabytes = |bytes: usize| format!("{:.2}", bytes as f64 / 1e6);
        vec![kind.to_owned(), megabytes(train), megabytes(valid)]
    });
    table(&["domain", "train MB", "valid MB"], rows)
}
