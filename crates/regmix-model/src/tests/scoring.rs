//! Log-likelihoods of continuations against logits.

use regmix_data::{ErrorKind, Silent, random};

use super::runs::stop_after;
use super::{cpu, tiny, trainer};
use crate::config::ModelConfig;
use crate::hugging_face;
use crate::parameters;
use crate::run::TrainedModel;
use crate::scoring::Continuation;

/// A model with longer sequences than the shortest that are scored.
fn model() -> (TrainedModel, ModelConfig) {
    let config = ModelConfig {
        context: 40,
        ..tiny()
    };
    let dir = tempfile::tempdir().unwrap();
    let values = parameters::init(&config, &mut random::stream(5, "model", "init")).unwrap();
    hugging_face::write(dir.path(), &config, &values, 12).unwrap();
    (TrainedModel::open(dir.path()).unwrap(), config)
}

fn sequence(length: usize) -> Vec<u32> {
    (0..length as u32)
        .map(|i| (i * i + 3 * i / 2) % 13)
        .collect()
}

#[test]
fn a_score_is_the_sum_of_log_probabilities() {
    let (model, config) = model();
    let asked: Vec<Continuation> = [(2, 1), (9, 3), (17, 16), (30, 7), (41, 5), (55, 20), (9, 3)]
        .map(|(length, scored)| Continuation {
            tokens: sequence(length),
            scored,
        })
        .into();
    let scores = model.score(&asked, true, &cpu(), &Silent).unwrap();
    assert_eq!(scores.len(), asked.len());
    assert_eq!(scores[1], scores[6]);
    // Weights of this seed, as in `model`.
    let mut plain = trainer(&config, 5);
    for (asked, score) in asked.iter().zip(&scores) {
        // As lm-eval cuts: one more token than the model sees, the last is not read.
        let from = asked.tokens.len().saturating_sub(config.context + 1);
        let seen = &asked.tokens[from..];
        let logits = plain.logits(&seen[..seen.len() - 1]).unwrap();
        let (mut sum, mut greedy) = (0.0, true);
        for place in seen.len() - 1 - asked.scored..seen.len() - 1 {
            let row: Vec<f64> = logits[place].iter().map(|x| f64::from(*x)).collect();
            let norm = row.iter().map(|x| x.exp()).sum::<f64>().ln();
            let own = row[seen[place + 1] as usize];
            sum += own - norm;
            greedy &= row.iter().all(|x| *x <= own);
        }
        assert!((score.log_likelihood - sum).abs() < 1e-4, "{score:?} {sum}");
        assert_eq!(score.is_greedy, Some(greedy));
    }
    assert!(scores.iter().any(|s| s.is_greedy == Some(false)));
    // The most likely token is greedy.
    let mut tokens = sequence(10);
    let logits = plain.logits(&tokens).unwrap();
    let best = (0..13).max_by(|a, b| logits[9][*a].total_cmp(&logits[9][*b]));
    tokens.push(best.unwrap() as u32);
    let greedy = Continuation { tokens, scored: 1 };
    let score = model
        .score(std::slice::from_ref(&greedy), true, &cpu(), &Silent)
        .unwrap();
    assert_eq!(score[0].is_greedy, Some(true));
    let score = model.score(&[greedy], false, &cpu(), &Silent).unwrap();
    assert_eq!(score[0].is_greedy, None);
}

#[test]
fn what_cannot_be_scored_is_refused() {
    let (model, _) = model();
    for (length, scored, problem) in [
        (
            5,
            0,
            "a continuation of 0 tokens in a sequence of 5: expected 1 to 40, after at least one other",
        ),
        (
            5,
            5,
            "a continuation of 5 tokens in a sequence of 5: expected 1 to 40, after at least one other",
        ),
        (
            60,
            41,
            "a continuation of 41 tokens in a sequence of 60: expected 1 to 40, after at least one other",
        ),
    ] {
        let asked = Continuation {
            tokens: sequence(length),
            scored,
        };
        let err = model.score(&[asked], false, &cpu(), &Silent).unwrap_err();
        assert_eq!(err.problem(), problem);
    }
    let unknown = Continuation {
        tokens: vec![1, 99],
        scored: 1,
    };
    let err = model.score(&[unknown], false, &cpu(), &Silent).unwrap_err();
    assert!(
        err.problem().starts_with("token 99, expected below"),
        "{err}"
    );
    let asked = vec![
        Continuation {
            tokens: sequence(40),
            scored: 1,
        };
        300
    ];
    let stop = stop_after(|_| true);
    let err = model.score(&asked, false, &cpu(), &stop).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Interrupted);
}
