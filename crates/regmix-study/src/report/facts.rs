//! What the study is made of, and what its answer assumes.

use regmix_data::manifest::{DomainEntry, Manifest};
use regmix_data::table::MixtureTable;
use regmix_regress::{Method, Recommendation};

use super::kit::node::{self, column, number_cell, paragraph, row_head};
use super::kit::number::{bytes, count, percent, plural};
use super::{Node, Report, Subject, scroll};

pub(super) fn section(report: &Report<'_>) -> Node {
    let given = (report.facts.iter()).map(|(label, value)| (label.as_str(), value.clone()));
    let from_search = report.recommendation.map_or_else(Vec::new, of_search);
    let fitted = report
        .fit
        .map(|fit| ("Proxy runs fitted", count(fit.rows() as u64)));
    // The facts of the caller come first and are not repeated.
    let known = |label: &str| report.facts.iter().any(|f| f.0 == label);
    let from_fit = (from_search.iter().take(1).cloned())
        .chain(fitted)
        .chain(from_search.iter().skip(1).cloned())
        .filter(|f| !known(f.0));
    let what = match report.subject {
        Subject::Study => "study",
        Subject::Tables => "fit",
    };
    let facts = Node::new("table")
        .class("plain facts")
        .push(node::caption(format!("The {what}")))
        .push(
            Node::new("tbody").extend(given.chain(from_fit).map(|(label, value)| {
                Node::new("tr")
                    .push(Node::new("th").attr("scope", "row").text(label))
                    .push(Node::new("td").text(value))
            })),
        );
    let mut out = node::section("facts", &format!("Facts of the {what}")).push(facts);
    if let Some(manifest) = report.corpus {
        out = out.push(scroll("The corpus", corpus(report, manifest)));
    }
    if let Some(design) = report.design.filter(|d| !d.is_empty()) {
        out = out.push(scroll("The proxies' mixtures", mixtures(report, design)));
    }
    out.push(Node::new("h3").text("What the answer assumes"))
        .extend(assumptions(report))
}

/// What was searched, and how; the objective first.
fn of_search(found: &Recommendation) -> Vec<(&'static str, String)> {
    let method = match found.method {
        Method::Descend => "descent from several starts",
        Method::Simulate => "simulation around the natural mixture",
    };
    vec![
        ("Objective", found.objective.to_string()),
        (
            "Search",
            format!("{method}, {} evaluations", count(found.evaluations as u64)),
        ),
        ("Bootstrap refits", refits(found)),
        (
            "Seeds of fit and search",
            format!(
                "{} and {}",
                found.provenance.fit_seed, found.provenance.seed
            ),
        ),
        ("Fitted by", found.provenance.program.clone()),
    ]
}

/// How many refits count, and how many do not.
fn refits(found: &Recommendation) -> String {
    let counted = count(found.provenance.refits as u64);
    match found.provenance.refits_dropped {
        0 => counted,
        dropped => format!(
            "{counted}; {} left the range of what was measured, and do not count",
            count(dropped as u64)
        ),
    }
}

fn assumptions(report: &Report<'_>) -> Vec<Node> {
    let checked = match (report.check, report.subject) {
        (Some(_), _) => {
            "The target runs above test that for the mixtures compared there, and for no others."
        }
        (None, Subject::Study) => "No target run tests it yet.",
        (None, Subject::Tables) => {
            "To test it, train a larger model on the found mixture and on one that it is compared \
             with, with two seeds or more each."
        }
    };
    let first = format!(
        "Rank invariance: that a mixture which is better for proxies is better for the target, \
         too. Losses themselves differ between sizes; only their order carries over. {checked}"
    );
    let reasons = [
        "Repetition: a target that sees a small domain many times gains less from it than \
         proxies that saw it once.",
        "Capacity: a domain that only a large model can learn from looks useless to a small one.",
        "Training: another tokenizer, context length, learning rate schedule or number of tokens \
         per parameter can change the order.",
        "Distance: away from the proxies' mixtures the fit extrapolates.",
    ];
    vec![
        paragraph(first),
        paragraph("It can fail by:"),
        Node::new("ul").extend(reasons.map(|r| Node::new("li").text(r))),
        paragraph(
            "To measure it, train some of the same mixtures at a second proxy size and compare \
             the order.",
        ),
    ]
}

fn corpus(report: &Report<'_>, manifest: &Manifest) -> Node {
    let entries = &manifest.domains;
    // Saturating: a damaged manifest must not stop the page.
    let sum = |of: fn(&DomainEntry) -> u64| entries.iter().map(of).fold(0, u64::saturating_add);
    let total = sum(|d| d.train.tokens);
    let share = |tokens: u64| percent(tokens as f64 / total as f64);
    let head = Node::new("tr")
        .push(column("Domain", "name"))
        .push(column("Tokens", "n"))
        .push(column("Share", "n"))
        .push(column("Bytes", "n"))
        .push(column("Documents", "n"))
        .push(column("Validation tokens", "n"));
    let cells = |row: Node, tokens, size, documents, valid| {
        row.push(number_cell(count(tokens)))
            .push(number_cell(share(tokens)))
            .push(number_cell(bytes(size)))
            .push(number_cell(count(documents)))
            .push(number_cell(count(valid)))
    };
    let names = entries.iter().map(|d| d.name.as_str());
    let rows = report.ordered(names).into_iter().map(|(i, name)| {
        let d = &entries[i];
        let row = Node::new("tr").push(row_head(name));
        let t = &d.train;
        cells(row, t.tokens, t.bytes, t.documents, d.valid.tokens)
    });
    let last = cells(
        Node::new("tr").class("total").push(row_head("All")),
        total,
        sum(|d| d.train.bytes),
        sum(|d| d.train.documents),
        sum(|d| d.valid.tokens),
    );
    let t = &manifest.tokenizer;
    Node::new("table")
        .class("plain")
        .push(node::caption(format!(
            "The corpus: {}, training split; {} tokenizer with {} entries",
            plural(entries.len(), "domain"),
            t.kind,
            count(u64::from(t.vocab_size))
        )))
        .push(Node::new("thead").push(head))
        .push(Node::new("tbody").extend(rows).push(last))
}

fn mixtures(report: &Report<'_>, design: &MixtureTable) -> Node {
    let head = Node::new("tr")
        .push(column("Domain", "name"))
        .push(column("Least", "n"))
        .push(column("Mean", "n"))
        .push(column("Most", "n"))
        .push(column("Proxies with it", "n"));
    let rows = report
        .ordered(design.domains().names())
        .into_iter()
        .map(|(i, name)| {
            let all: Vec<f64> = design.mixtures().iter().map(|m| m.weights()[i]).collect();
            let with = all.iter().filter(|w| **w > 0.0).count();
            Node::new("tr")
                .push(row_head(name))
                .push(number_cell(percent(
                    all.iter().copied().fold(1.0, f64::min),
                )))
                .push(number_cell(percent(super::kit::number::mean(
                    all.iter().copied(),
                ))))
                .push(number_cell(percent(
                    all.iter().copied().fold(0.0, f64::max),
                )))
                .push(number_cell(count(with as u64)))
        });
    Node::new("table")
        .class("plain")
        .push(node::caption(format!(
            "Weights in the mixtures of {}",
            plural(design.len(), "proxy run")
        )))
        .push(Node::new("thead").push(head))
        .push(Node::new("tbody").extend(rows))
}
