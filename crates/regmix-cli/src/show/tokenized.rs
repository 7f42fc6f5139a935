//! A corpus that was just tokenized.

use regmix_data::tokenize::Summary;

use crate::output::table::table;

/// Sizes of all domains, and the speed.
pub(crate) fn tokenized(summary: &Summary) -> String {
    let rows = summary.domains.iter().map(|d| {
        vec![
            d.domain.to_string(),
            d.documents.to_string(),
            format!("{:.2}", d.bytes as f64 / 1e6),
            d.tokens.to_string(),
            format!("{:.2}", d.bytes as f64 / d.tokens.max(1) as f64),
        ]
    });
    let domains = table(
        &["domain", "documents", "MB", "tokens", "bytes/token"],
        rows,
    );
    format!(
        "{domains}\n{} documents, {:.1} MB, {} tokens in {:.1} s: {:.1} MB/s, {:.0} tokens/s ({} repeats dropped)\n",
        summary.documents,
        summary.bytes as f64 / 1e6,
        summary.tokens,
        summary.seconds,
        summary.megabytes_per_second(),
        summary.tokens_per_second(),
        summary.duplicates,
    )
}
