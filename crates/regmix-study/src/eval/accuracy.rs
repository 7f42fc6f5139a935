//! From log-likelihoods to accuracies.

use serde::{Deserialize, Serialize};

use super::Sample;

/// A share of right answers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// The share.
    pub value: f64,
    /// Its standard error: `s / sqrt(n)`, as lm-eval has it; none for one question.
    pub stderr: Option<f64>,
}

/// The scores of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskScore {
    /// Its name; `held_out/<domain>` for held-out text.
    pub task: String,
    /// How many questions.
    pub questions: usize,
    /// By log-likelihoods.
    pub acc: Accuracy,
    /// By log-likelihoods per character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acc_norm: Option<Accuracy>,
    /// By log-likelihoods per byte of UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acc_bytes: Option<Accuracy>,
    /// `exp` of the mean negative log-likelihood of a continuation, where there are no
    /// choices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perplexity: Option<f64>,
    /// F1 of the answer `yes`, of tasks for which lm-eval computes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub f1: Option<f64>,
    /// Examples before every question.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shots: usize,
    /// Questions whose beginnings the model does not see.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cut: usize,
    /// Questions beside these, with a choice that is longer than what the model sees.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// A question and what the model found.
pub(super) struct Answered {
    /// Its number in the file, or of the domain, from 0.
    pub(super) question: usize,
    pub(super) log_likelihoods: Vec<f64>,
    /// Characters and bytes of the choices.
    pub(super) lengths: Vec<[usize; 2]>,
    pub(super) gold: usize,
    /// For questions without choices.
    pub(super) is_greedy: Option<bool>,
}

pub(super) struct Answers(pub(super) Vec<Answered>);

impl Answers {
    pub(super) fn samples(&self, task: &str) -> impl Iterator<Item = Sample> {
        self.0.iter().map(move |answered| Sample {
            task: task.to_owned(),
            question: answered.question,
            gold: answered.gold,
            log_likelihoods: answered.log_likelihoods.clone(),
        })
    }

    pub(super) fn score(&self, task: &str, normalized: bool) -> TaskScore {
        let per = |which: usize| {
            let right = |answered: &Answered| {
                let scaled = answered.log_likelihoods.iter().zip(&answered.lengths);
                best(scaled.map(|(ll, lengths)| ll / lengths[which] as f64)) == answered.gold
            };
            normalized.then(|| accuracy(self.0.iter().map(right)))
        };
        let right = |answered: &Answered| {
            let chosen = || best(answered.log_likelihoods.iter().copied()) == answered.gold;
            answered.is_greedy.unwrap_or_else(chosen)
        };
        let exact = self.0.iter().all(|answered| answered.is_greedy.is_some());
        let perplexity = exact.then(|| {
            let sum: f64 = self.0.iter().flat_map(|a| &a.log_likelihoods).sum();
            (-sum / self.0.len() as f64).exp()
        });
        TaskScore {
            task: task.to_owned(),
            questions: self.0.len(),
            acc: accuracy(self.0.iter().map(right)),
            acc_norm: per(0),
            acc_bytes: per(1),
            perplexity,
            f1: None,
            shots: 0,
            cut: 0,
            left_out: 0,
        }
    }

    /// F1 of the second choice by log-likelihoods; 0 where it is neither given nor right.
    pub(super) fn f1(&self) -> f64 {
        let (mut both, mut either) = (0.0, 0.0);
        for answered in &self.0 {
            let given = best(answered.log_likelihoods.iter().copied()) == 1;
            let right = answered.gold == 1;
            both += f64::from(u8::from(given && right));
            either += f64::from(u8::from(given) + u8::from(right));
        }
        if either > 0.0 {
            2.0 * both / either
        } else {
            0.0
        }
    }
}

/// The place of the largest number; the first of several.
fn best(numbers: impl Iterator<Item = f64>) -> usize {
    let largest = numbers
        .enumerate()
        .reduce(|best, next| match next.1 > best.1 {
            true => next,
            false => best,
        });
    largest.map_or(0, |(place, _)| place)
}

fn accuracy(right: impl Iterator<Item = bool>) -> Accuracy {
    let (mut n, mut hits) = (0.0, 0.0);
    for right in right {
        n += 1.0;
        hits += f64::from(u8::from(right));
    }
    let value = hits / n;
    // The variance of a sample of zeros and ones.
    let stderr = (n > 1.0).then(|| (value * (1.0 - value) / (n - 1.0)).sqrt());
    Accuracy { value, stderr }
}

/// The mean over domains, each of which counts alike.
pub(super) fn together(task: &str, domains: &[TaskScore]) -> Option<TaskScore> {
    let mean = |of: fn(&TaskScore) -> Option<Accuracy>| -> Option<Accuracy> {
        let all: Vec<Accuracy> = domains.iter().map(of).collect::<Option<_>>()?;
        let n = all.len() as f64;
        let errors: Option<f64> = all.iter().map(|a| a.stderr.map(|e| e * e)).sum();
        Some(Accuracy {
            value: all.iter().map(|a| a.value).sum::<f64>() / n,
            stderr: errors.map(|sum| sum.sqrt() / n),
        })
    };
    (!domains.is_empty()).then(|| {
        Some(TaskScore {
            task: task.to_owned(),
            questions: domains.iter().map(|d| d.questions).sum(),
            acc: mean(|score| Some(score.acc))?,
            acc_norm: mean(|score| score.acc_norm),
            acc_bytes: mean(|score| score.acc_bytes),
            perplexity: None,
            f1: None,
            shots: 0,
            cut: domains.iter().map(|d| d.cut).sum(),
            left_out: 0,
        })
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(log_likelihoods: &[f64], lengths: &[[usize; 2]], gold: usize) -> Answered {
        Answered {
            question: 0,
            log_likelihoods: log_likelihoods.to_vec(),
            lengths: lengths.to_vec(),
            gold,
            is_greedy: None,
        }
    }

    /// The numbers are those of lm-eval's `process_results` and `mean_stderr`.
    #[test]
    fn accuracies_and_errors_are_those_of_lm_eval() {
        let answers = Answers(vec![
            // By sum 0, by character 1, by byte 2.
            answered(&[-4.0, -6.0, -7.0], &[[2, 2], [6, 6], [6, 12]], 0),
            answered(&[-4.0, -6.0, -7.0], &[[2, 2], [6, 6], [6, 12]], 1),
            answered(&[-4.0, -6.0, -7.0], &[[2, 2], [6, 6], [6, 12]], 2),
            // The first of equals.
            answered(&[-1.0, -1.0], &[[1, 1], [1, 1]], 0),
        ]);
        let score = answers.score("t", true);
        let near = |found: Accuracy, value: f64, stderr: f64| {
            assert!((found.value - value).abs() < 1e-12, "{found:?}");
            assert!((found.stderr.unwrap() - stderr).abs() < 1e-12, "{found:?}");
        };
        for found in [Some(score.acc), score.acc_norm, score.acc_bytes] {
            near(found.unwrap(), 0.5, 1.0 / 12f64.sqrt());
        }
        assert_eq!(score.perplexity, None);
        let one = Answers(vec![answered(&[-1.0, -2.0], &[[1, 1], [1, 1]], 1)]);
        let one = one.score("t", false);
        assert_eq!(
            (one.acc.value, one.acc.stderr, one.acc_norm),
            (0.0, None, None)
        );
        let both = together("all", &[score.clone(), score]).unwrap();
        assert_eq!(both.questions, 8);
        near(both.acc, 0.5, 1.0 / 24f64.sqrt());
        assert!(together("all", &[]).is_none());
    }

    /// The number is that of scikit-learn's `f1_score`.
    #[test]
    fn f1_is_of_the_second_choice() {
        let of = |pairs: &[(usize, usize)]| {
            let answers = pairs.iter().map(|&(gold, given)| {
                let mut found = [-2.0, -2.0];
                found[given] = -1.0;
                answered(&found, &[[1, 1], [1, 1]], gold)
            });
            Answers(answers.collect()).f1()
        };
        let mixed = [(1, 1), (1, 0), (0, 1), (0, 0), (1, 1), (0, 1)];
        assert!((of(&mixed) - 4.0 / 7.0).abs() < 1e-12);
        assert_eq!((of(&[(0, 0)]), of(&[(1, 1)])), (0.0, 1.0));
    }

    #[test]
    fn without_choices_the_most_likely_text_counts() {
        let word = |ll, is_greedy| Answered {
            is_greedy: Some(is_greedy),
            ..answered(&[ll], &[[4, 4]], 0)
        };
        let score = Answers(vec![word(-1.0, true), word(-3.0, false)]).score("lambada", false);
        assert_eq!(score.acc.value, 0.5);
        assert!((score.perplexity.unwrap() - 2f64.exp()).abs() < 1e-12);
    }
}
