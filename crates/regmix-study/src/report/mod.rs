//! `report.html`: one self-contained page with the answer of a study and its
//! evidence.
//!
//! The page loads nothing, needs no script to be read, and follows the
//! reader's light or dark theme. For the latter its plots are inline SVG
//! coloured by the page's own style sheet. Plotting crates write fixed colours
//! into the picture, so the few shapes needed are drawn here. The same
//! artefacts always give the same bytes.
//!
//! What is missing is left out, or named with the command that makes it.

mod answer;
mod at_target;
mod compared;
mod curves;
mod epochs;
mod facts;
mod heat_map;
mod kit;
mod league;
mod predicted_observed;
mod promise;
mod scatter;
mod schedule;
mod stage_accuracy;
#[cfg(test)]
mod tests;
mod weights;

use regmix_data::manifest::Manifest;
use regmix_data::table::MixtureTable;
use regmix_dynamic::{ControllerState, Schedule, Trajectories};
use regmix_regress::{Baseline, Fit, Interactions, Objective, Recommendation};

use crate::check::TargetCheck;
use crate::compare::MethodComparison;
pub(crate) use at_target::AtTarget;
use kit::node::{Node, paragraph, scroll, section};
pub(crate) use kit::number::{count, plural};

/// Everything the page shows, borrowed from the study's artefacts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report<'a> {
    /// The study's name.
    pub(crate) name: &'a str,
    /// The mixture that was found.
    pub(crate) recommendation: &'a Recommendation,
    /// The fit it was found with.
    pub(crate) fit: &'a Fit,
    /// Which domain moves which loss.
    pub(crate) interactions: Option<&'a Interactions>,
    /// Losses of the proxies along training.
    pub(crate) trajectories: Option<&'a Trajectories>,
    /// Whether the promise held for targets.
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
            .push(weights::section(self))
            .push(promise::section(self))
            .extend(compared::section(self))
            .extend(at_target::section(self))
            .extend(schedule::section(self))
            .push(league::section(self))
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

    /// The domains, largest found weight first: the order of every chart.
    fn domains(&self) -> Vec<&str> {
        let mut all: Vec<_> = (self.recommendation.weights.iter())
            .map(|w| (w.domain.as_str(), w.weight.max(0.0)))
            .collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all.into_iter().map(|w| w.0).collect()
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

/// `3 domains`, or `3 targets` where some are not domains of the mixture.
fn target_words(fit: &Fit) -> String {
    let all = fit.targets();
    let domains = (all.iter()).all(|t| fit.domains().position(&t.target).is_some());
    plural(all.len(), if domains { "domain" } else { "target" })
}

/// What is minimised, in words; `over` names what a mean is over.
fn objective_words(objective: &Objective, over: &str) -> String {
    match objective {
        Objective::Target(name) => format!("loss on {name}"),
        Objective::Mean => format!("mean loss over {over}"),
        Objective::Weighted(weights) if weights.len() <= 3 => {
            format!("weighted loss ({objective})")
        }
        Objective::Weighted(weights) => format!("weighted loss over {} targets", weights.len()),
        Objective::Worst(Baseline::None) => format!("worst loss over {over}"),
        Objective::Worst(Baseline::Natural) => {
            format!("worst change against the natural mixture over {over}")
        }
        Objective::Worst(Baseline::Uniform) => {
            format!("worst change against the uniform mixture over {over}")
        }
        Objective::Maximize(_) => format!("score ({objective})"),
    }
}
