//! Which numbers of a log are used, and for what.

use std::collections::{BTreeMap, BTreeSet};

use super::labels::label_rank;
use super::pattern::Pattern;
use crate::table::columns::run_rank;

/// Steps, as trackers and trainers call them.
const STEPS: [&str; 10] = [
    "_step",
    "step",
    "global_step",
    "trainer/global_step",
    "train/global_step",
    "train/step",
    "iteration",
    "iter",
    "steps",
    "update",
];

/// Which numbers of a log are used.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Metrics that are targets; what the stars stand for is the name.
    pub targets: Vec<Pattern>,
    /// Metrics or settings that are weights of domains.
    pub weights: Vec<Pattern>,
    /// Targets by the exact name of their metric.
    pub named_targets: BTreeMap<String, String>,
    /// Domains by the exact name of their weight.
    pub named_weights: BTreeMap<String, String>,
    /// The column or key of the run, where a file holds several.
    pub run: Option<String>,
    /// The column or key of the step, where it has no usual name.
    pub step: Option<String>,
    /// The column or key of the tokens seen.
    pub tokens: Option<String>,
    /// The column or key of the parameters of the model.
    pub parameters: Option<String>,
    /// Tokens of a step, where no column has the tokens.
    pub tokens_per_step: Option<f64>,
    /// The values of this step, instead of the last of every run.
    pub at_step: Option<u64>,
    /// The value of a target is the mean of this number of its last
    /// measurements; 0 means 1.
    pub last: usize,
}

/// What a number is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    Target(String),
    Weight(String),
    Run,
    Step,
    Tokens,
    Parameters,
}

impl Selection {
    /// What the number of a name is; none where it does not count.
    pub(super) fn role(&self, name: &str) -> Option<Role> {
        let is = |key: &Option<String>| key.as_deref() == Some(name);
        if is(&self.run) {
            return Some(Role::Run);
        }
        if is(&self.step) {
            return Some(Role::Step);
        }
        if is(&self.tokens) {
            return Some(Role::Tokens);
        }
        if is(&self.parameters) {
            return Some(Role::Parameters);
        }
        if let Some(target) = self.named_targets.get(name) {
            return Some(Role::Target(target.clone()));
        }
        if let Some(domain) = self.named_weights.get(name) {
            return Some(Role::Weight(domain.clone()));
        }
        let of = |patterns: &[Pattern]| patterns.iter().find_map(|p| p.capture(name));
        if let Some(target) = of(&self.targets) {
            return Some(Role::Target(target));
        }
        of(&self.weights).map(Role::Weight)
    }

    /// How well a name serves as that of the step: the lower the better.
    pub(super) fn step_rank(&self, name: &str) -> Option<usize> {
        match &self.step {
            Some(step) => (step == name).then_some(0),
            None => STEPS.iter().position(|s| s.eq_ignore_ascii_case(name)),
        }
    }

    /// How well a key serves as that of the run: the lower the better.
    pub(super) fn run_rank(&self, name: &str) -> Option<usize> {
        match &self.run {
            Some(run) => (run == name).then_some(0),
            None => run_rank(name).filter(|_| self.role(name).is_none()),
        }
    }

    /// The rank of a column or key whose text may tell targets apart.
    pub(super) fn label_rank(&self, name: &str) -> Option<usize> {
        label_rank(name).filter(|_| self.role(name).is_none())
    }

    /// Whether nothing says which metrics are targets.
    pub(super) fn has_no_targets(&self) -> bool {
        self.targets.is_empty() && self.named_targets.is_empty()
    }

    /// Something that was asked for and is none of these names, and the flag that
    /// asked for it.
    pub(super) fn unmatched(&self, counted: &BTreeSet<String>) -> Option<(&'static str, &str)> {
        let is_there = |key: &str| counted.contains(key);
        let matches = |p: &&Pattern| counted.iter().any(|name| p.capture(name).is_some());
        let mut patterns = (self.targets.iter().map(|p| ("--target", p)))
            .chain(self.weights.iter().map(|p| ("--weights", p)));
        if let Some((flag, pattern)) = patterns.find(|(_, p)| !matches(p)) {
            return Some((flag, pattern.as_str()));
        }
        let keys = [
            ("--run", &self.run),
            ("--step", &self.step),
            ("--tokens", &self.tokens),
            ("--parameters", &self.parameters),
        ];
        let single = keys
            .into_iter()
            .filter_map(|(flag, key)| Some((flag, key.as_deref()?)));
        let named = (self.named_targets.keys().map(|k| ("targets", k.as_str())))
            .chain(self.named_weights.keys().map(|k| ("weights", k.as_str())));
        single.chain(named).find(|(_, key)| !is_there(key))
    }
}
