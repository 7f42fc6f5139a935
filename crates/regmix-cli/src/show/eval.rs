//! Accuracies of models.

use regmix_study::eval::{Accuracy, Evaluation};

use super::number::or_dash;
use crate::output::table::table;

/// One line for a model and a task.
pub(crate) fn evaluations(evaluations: &[Evaluation]) -> String {
    let scores = || evaluations.iter().flat_map(|evaluation| &evaluation.scores);
    // Few tasks have it.
    let with_f1 = scores().any(|score| score.f1.is_some());
    let rows = evaluations.iter().flat_map(|evaluation| {
        evaluation.scores.iter().map(move |score| {
            let with_error = |accuracy: Option<Accuracy>| match accuracy {
                None => "-".to_owned(),
                Some(Accuracy {
                    value,
                    stderr: None,
                }) => format!("{value:.4}"),
                Some(Accuracy {
                    value,
                    stderr: Some(stderr),
                }) => format!("{value:.4} +- {stderr:.4}"),
            };
            let mut row = vec![
                evaluation.model.display().to_string(),
                match score.shots {
                    0 => score.task.clone(),
                    shots => format!("{} ({shots}-shot)", score.task),
                },
                score.questions.to_string(),
                with_error(Some(score.acc)),
                with_error(score.acc_norm),
                with_error(score.acc_bytes),
                or_dash(score.perplexity.unwrap_or(f64::NAN), 3),
            ];
            row.extend(with_f1.then(|| or_dash(score.f1.unwrap_or(f64::NAN), 4)));
            row
        })
    });
    let mut header = vec![
        "model",
        "task",
        "questions",
        "acc",
        "acc_norm",
        "acc_bytes",
        "perplexity",
    ];
    header.extend(with_f1.then_some("f1"));
    table(&header, rows)
}
