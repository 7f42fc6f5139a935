//! `report.html`: one self-contained page with the answer of a study, or of a fit
//! of tables, and its evidence.
//!
//! The page loads nothing, needs no script to be read, and follows the
//! reader's light or dark theme. For the latter its plots are inline SVG
//! coloured by the page's own style sheet. Plotting crates write fixed colours
//! into the picture, so the few shapes needed are drawn here. The same
//! artefacts always give the same bytes.
//!
//! Missing results are left out, or named with the command that makes them.

mod accuracies;
mod answer;
mod at_target;
mod check;
mod compared;
mod curves;
mod epochs;
mod expected;
mod facts;
mod heat_map;
mod kit;
mod laws;
mod league;
mod learning;
mod noise;
mod predicted_observed;
mod scatter;
mod schedule;
mod stage_accuracy;
#[cfg(test)]
mod tests;
mod weights;

use regmix_data::manifest::Manifest;
use regmix_data::table::MixtureTable;
use regmix_dynamic::{ControllerState, Schedule, Trajectories};
use regmix_regress::{Baseline, Fit, Interactions, LearningCurve, Objective, Recommendation};

use crate::check::TargetCheck;
use crate::compare::MethodComparison;
pub(crate) use at_target::{AtTarget, Expected};
use kit::node::{Node, paragraph, scroll, section};
pub(crate) use kit::number::UNIT;
pub(crate) use kit::number::{count, list, plural};

/// What a page is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A study, whose targets can be trained.
    Study,
    /// A fit of the user's own tables.
    Tables,
}

/// Everything the page shows, borrowed from the study's artefacts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report<'a> {
    /// What it is about.
    pub(crate) subject: Subject,
    /// The study's name, or the folder of the fit.
    pub(crate) name: &'a str,
    /// The unit of the losses, where it is known.
    pub(crate) unit: Option<&'a str>,
    /// The mixture that was found.
    pub(crate) recommendation: Option<&'a Recommendation>,
    /// The fit it was found with; none where laws of scale are all there is.
    pub(crate) fit: Option<&'a Fit>,
    /// How accuracy grows with the number of runs.
    pub(crate) learning: Option<&'a LearningCurve>,
    /// Which domain moves which loss.
    pub(crate) interactions: Option<&'a Interactions>,
    /// Losses of the proxies along training.
    pub(crate) trajectories: Option<&'a Trajectories>,
    /// Targets on the found mixture and on others.
    pub(crate) check: Option<&'a TargetCheck>,
    /// Methods compared with each other.
    pub(crate) compared: Option<&'a MethodComparison>,
    /// What laws of scale say about the target.
    pub(crate) at_target: Option<&'a AtTarget>,
    /// A mixture per stage.
    pub(crate) schedule: Option<&'a Schedule>,
    /// Losses along training of the targets that had a schedule.
    pub(crate) scheduled: Option<&'a Trajectories>,
    /// Targets that the controller steered, by run, with what it decided.
    pub(crate) decisions: &'a [(String, ControllerState)],
    /// Tokens, bytes and documents per domain.
    pub(crate) corpus: Option<&'a Manifest>,
    /// The mixtures of the proxies.
    pub(crate) design: Option<&'a MixtureTable>,
    /// Greatest implied epochs per domain over the proxies; empty when not
    /// known.
    pub(crate) proxy_epochs: &'a [(String, f64)],
    /// Label and value: proxy size, steps, tokens, seed, versions, times, ….
    pub(crate) facts: &'a [(String, String)],
    /// What to do next and the command for it.
    pub(crate) commands: &'a [(String, String)],
    /// Parts of the study that were made from other inputs, with what changed. Of these,
    /// `check` and `compare` are not on the page.
    pub(crate) stale: &'a [(&'static str, String)],
}

impl Report<'_> {
    /// The whole page.
    pub(crate) fn html(&self) -> String {
        let head = Node::new("head")
            .push(Node::new("meta").attr("charset", "utf-8"))
            .push(
                Node::new("meta")
                    .attr("name", "viewport")
                    .attr("content", "width=device-width, initial-scale=1"),
            )
            .push(
                Node::new("meta")
                    .attr("name", "color-scheme")
                    .attr("content", "light dark"),
            )
            .push(Node::new("title").text(format!("{} – regmix", self.name)))
            .push(Node::new("style").constant(include_str!("style.css")));
        let main = Node::new("main")
            .push(answer::headline(self))
            .extend(weights::section(self))
            .extend(expected::section(self))
            .extend(accuracies::section(self))
            .extend(check::section(self))
            .extend(compared::section(self))
            .extend(at_target::section(self))
            .extend(schedule::section(self))
            .extend(league::section(self))
            .extend(heat_map::section(self))
            .extend(curves::section(self))
            .extend(epochs::section(self))
            .push(facts::section(self))
            .extend(self.next());
        let body = Node::new("body")
            .push(main)
            .push(Node::new("script").constant(include_str!("theme.js")));
        let page = Node::new("html").attr("lang", "en").push(head).push(body);
        format!("<!doctype html>\n{}\n", page.into_string())
    }

    fn next(&self) -> Option<Node> {
        if self.commands.is_empty() {
            return None;
        }
        let items = self.commands.iter().map(|(what, command)| {
            Node::new("div")
                .class("command")
                .push(paragraph(what))
                .push(scroll(
                    what,
                    Node::new("pre").push(Node::new("code").text(command)),
                ))
        });
        Some(section("next", "What to do next").extend(items))
    }

    /// The mixture that the page is about: the one found with the fit, else the one
    /// at the size of the target; domains with no mixture have no weight.
    fn weights(&self) -> Vec<(&str, f64)> {
        let optimum = self.at_target.and_then(|at| at.optimum.as_ref());
        match (self.recommendation, optimum, self.fit) {
            (Some(found), _, _) => (found.weights.iter())
                .map(|w| (w.domain.as_str(), w.weight))
                .collect(),
            (None, Some(optimum), _) => (optimum.mixture.iter())
                .map(|(domain, weight)| (domain.as_str(), weight))
                .collect(),
            (None, None, Some(fit)) => fit.domains().names().map(|d| (d, 0.0)).collect(),
            (None, None, None) => Vec::new(),
        }
    }

    /// The domains, largest found weight first: the order of every chart.
    fn domains(&self) -> Vec<&str> {
        let mut all = self.weights();
        all.sort_by(|a, b| b.1.max(0.0).total_cmp(&a.1.max(0.0)));
        all.into_iter().map(|w| w.0).collect()
    }

    /// Why the results of targets are not on the page, where they are about an earlier
    /// mixture or objective; `part` is `check` or `compare`.
    fn earlier(&self, part: &str) -> Option<&str> {
        let of = self.stale.iter().find(|(name, _)| *name == part);
        of.map(|(_, why)| why.as_str())
    }

    /// Names in the order of the domains; others after them as they come.
    fn ordered<'n>(&self, names: impl Iterator<Item = &'n str>) -> Vec<(usize, &'n str)> {
        let domains = self.domains();
        let place = |name: &str| domains.iter().position(|d| *d == name);
        let mut out: Vec<_> = names.enumerate().collect();
        out.sort_by_key(|(_, name)| place(name).unwrap_or(usize::MAX));
        out
    }
}

/// What values are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// Lower is better.
    Loss,
    /// Higher is better.
    Score,
    /// It is not known which.
    Value,
}

impl Word {
    fn as_str(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Score => "score",
            Self::Value => "value",
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Loss => "losses",
            Self::Score => "scores",
            Self::Value => "values",
        }
    }
}

impl Report<'_> {
    /// What the values of targets are called. Tables may hold anything; what is
    /// maximised is a score.
    fn word(&self) -> Word {
        match (self.subject, self.recommendation) {
            (Subject::Study, _) => Word::Loss,
            (Subject::Tables, Some(found)) if found.objective.sign() < 0.0 => Word::Score,
            (Subject::Tables, Some(_)) => Word::Loss,
            (Subject::Tables, None) if self.at_target.is_some() => Word::Loss,
            (Subject::Tables, None) => Word::Value,
        }
    }

    /// The unit behind a number: ` nats per token`, or nothing.
    fn unit_behind(&self) -> String {
        self.unit
            .map_or_else(String::new, |unit| format!(" {unit}"))
    }

    /// The unit in a list of words: `, nats per token`, or nothing.
    fn unit_listed(&self) -> String {
        self.unit
            .map_or_else(String::new, |unit| format!(", {unit}"))
    }

    /// The unit in brackets: ` (nats per token)`, or nothing.
    fn unit_in_brackets(&self) -> String {
        self.unit
            .map_or_else(String::new, |unit| format!(" ({unit})"))
    }

    /// Whether a target is a score beside losses.
    fn is_score(&self, name: &str) -> bool {
        (self.fit).is_some_and(|fit| fit.scores().any(|target| target.target == name))
    }

    /// The unit of the objective's values: none where it has scores.
    fn objective_unit(&self) -> Option<&str> {
        let named = self.recommendation.map(|found| found.objective.named());
        let has_scores = (named.iter().flatten()).any(|name| self.is_score(name));
        self.unit.filter(|_| !has_scores)
    }

    /// The same behind a number: ` nats per token`, or nothing.
    fn objective_unit_behind(&self) -> String {
        (self.objective_unit()).map_or_else(String::new, |unit| format!(" {unit}"))
    }

    /// `3 domains`, or `3 targets` where some are not domains of the mixture.
    fn target_words(&self) -> String {
        self.fit
            .map_or_else(|| "all targets".to_owned(), target_words)
    }
}

/// `3 domains`, or `3 targets` where some are not domains of the mixture.
fn target_words(fit: &Fit) -> String {
    let domains = fit
        .losses()
        .all(|t| fit.domains().position(&t.target).is_some());
    plural(
        fit.losses().count(),
        if domains { "domain" } else { "target" },
    )
}

/// What is minimised or maximised, in words; `over` names what a mean is over.
fn objective_words(objective: &Objective, over: &str) -> String {
    let (objective, word) = match objective {
        Objective::Maximize(inner) => (&**inner, Word::Score.as_str()),
        other => (other, Word::Loss.as_str()),
    };
    match objective {
        Objective::Target(name) => format!("{word} on {name}"),
        Objective::Mean => format!("mean {word} over {over}"),
        Objective::Weighted(weights) if weights.len() <= 3 => {
            format!("weighted {word} ({objective})")
        }
        Objective::Weighted(weights) => format!("weighted {word} over {} targets", weights.len()),
        Objective::Worst(Baseline::None) => format!("worst {word} over {over}"),
        Objective::Worst(Baseline::Natural) => {
            format!("worst change against the natural mixture over {over}")
        }
        Objective::Worst(Baseline::Uniform) => {
            format!("worst change against the uniform mixture over {over}")
        }
        // Nested only by hand: what is maximised twice is minimised.
        Objective::Maximize(_) => objective.to_string(),
    }
}
