//! Accuracies of models.

use regmix_study::eval::{Accuracy, Evaluation};

use super::number::or_dash;
use crate::output::table::table;

/// One line for a model and a task.
pub(crate) fn evaluations(evaluations: &[Evaluation]) -> String {
    let rows = evaluations.iter().flat_map(|evaluation| {
        evaluation.scores.iter().map(|score| {
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
            vec![
                evaluation.model.display().to_string(),
                score.task.clone(),
                score.questions.to_string(),
                with_error(Some(score.acc)),
                with_error(score.acc_norm),
                with_error(score.acc_bytes),
                or_dash(score.perplexity.unwrap_or(f64::NAN), 3),
            ]
        })
    });
    let header = [
        "model",
        "task",
        "questions",
        "acc",
        "acc_norm",
        "acc_bytes",
        "perplexity",
    ];
    table(&header, rows)
}
