//! nanotron.

use std::fmt::Write;

use super::text::{list, quoted_list};
use super::{Entry, Job, one_file};
use crate::error::Result;
use crate::exchange::exported_file::ExportedFile;

/// A stage for every mixture; steps are counted from 1.
pub(super) fn nanotron(job: &Job<'_>) -> Result<Vec<ExportedFile>> {
    let mut text = String::from("data_stages:\n");
    for (place, span) in job.spans.iter().enumerate() {
        let _ = write!(
            text,
            "  - name: stage {place}\n    start_training_step: {}\n    data:\n      dataset:\n        \
             dataset_folder: {}\n        dataset_weights: {}\n      num_loading_workers: 1\n      \
             seed: {}\n",
            span.from + 1,
            quoted_list(job.drawn(place).map(Entry::path)),
            list(job.drawn(place).map(|e| e.weight(place))),
            job.seed()
        );
    }
    Ok(one_file("data_stages.yaml", text))
}
