//! The reason for a decision, as a sentence.

use regmix_data::Mixture;

/// A loss within this distance of the expected one is as expected, nats.
const NEAR: f64 = 0.001;
/// A mixture within this distance of the planned one counts as the planned
/// one, total variation.
const SAME: f64 = 0.005;

/// The grounds of a decision.
pub(super) struct Grounds<'a> {
    /// The names of the losses of the state.
    pub(super) names: &'a [String],
    pub(super) corrected: &'a [f64],
    pub(super) expected: &'a [f64],
    /// Whether the scale of the target was measured by this observation.
    pub(super) first_scale: bool,
    /// Steps since the stage point.
    pub(super) late: u64,
    pub(super) planned: Option<&'a Mixture>,
    pub(super) chosen: &'a Mixture,
    /// Where the standing plan was kept: the gain that a change would have had
    /// to promise, or none if no promise can be trusted.
    pub(super) kept: Option<Option<f64>>,
    /// Whether one mixture is kept to the end.
    pub(super) single: bool,
}

impl Grounds<'_> {
    /// One line: how losses differ from the expected ones, and how the mixture
    /// differs from the planned one.
    pub(super) fn words(&self) -> String {
        let late = match self.late {
            0 => String::new(),
            1 => "1 step after the stage point: ".to_owned(),
            n => format!("{n} steps after the stage point: "),
        };
        format!("{late}{}; {}", self.losses(), self.change())
    }

    fn losses(&self) -> String {
        if self.first_scale {
            return "the scale of the target is measured here, so that its losses are as expected"
                .to_owned();
        }
        let mut off: Vec<(f64, &str)> = (self.corrected.iter().zip(self.expected))
            .zip(self.names)
            .map(|((c, e), name)| (c - e, name.as_str()))
            .filter(|(d, _)| d.abs() >= NEAR)
            .collect();
        off.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
        let parts: Vec<String> = (off.iter().take(2))
            .map(|(d, name)| {
                let way = if *d > 0.0 { "above" } else { "below" };
                format!("{name} {:.3} {way}", d.abs())
            })
            .collect();
        match parts.is_empty() {
            true => "losses are as expected".to_owned(),
            false => format!("{} what was expected", parts.join(", ")),
        }
    }

    fn change(&self) -> String {
        let single = match self.single {
            true => "one mixture to the end: ",
            false => "",
        };
        match self.kept {
            Some(Some(gain)) => {
                return format!(
                    "{single}a new plan promises less than {gain:.3} nats more, so the plan is kept"
                );
            }
            Some(None) => {
                return format!(
                    "{single}what a new plan gains cannot be measured, so the plan is kept"
                );
            }
            None => {}
        }
        let Some(planned) = self.planned else {
            return format!("{single}nothing was planned for this stage");
        };
        if self.chosen.tv_distance(planned) < SAME {
            return format!("{single}the plan is kept");
        }
        let mut moved: Vec<(f64, &str)> = (self.chosen.iter())
            .map(|(d, w)| (w - planned.get(d.as_str()).unwrap_or(0.0), d.as_str()))
            .collect();
        moved.sort_by(|a, b| b.0.total_cmp(&a.0));
        let ends = moved.first().into_iter().chain(moved.last());
        let parts: Vec<String> = ends
            .map(|(by, name)| format!("{name} {:+.1}", 100.0 * by))
            .collect();
        format!("{single}{} points against the plan", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regmix_data::DomainSet;

    #[test]
    fn a_reason_names_losses_and_changes() {
        let names = ["law".to_owned(), "web".to_owned()];
        let domains = DomainSet::from_names(["law", "web"]).unwrap();
        let mixture = |law: f64| Mixture::new(domains.clone(), vec![law, 1.0 - law]).unwrap();
        let (planned, chosen) = (mixture(0.4), mixture(0.45));
        let grounds = Grounds {
            names: &names,
            corrected: &[3.25, 2.0],
            expected: &[3.0, 2.1],
            first_scale: false,
            late: 0,
            planned: Some(&planned),
            chosen: &chosen,
            kept: None,
            single: false,
        };
        assert_eq!(
            grounds.words(),
            "law 0.250 above, web 0.100 below what was expected; law +5.0, web -5.0 points \
             against the plan"
        );
        let other = Grounds {
            first_scale: true,
            late: 3,
            chosen: &planned,
            single: true,
            ..grounds
        };
        assert_eq!(
            other.words(),
            "3 steps after the stage point: the scale of the target is measured here, so that \
             its losses are as expected; one mixture to the end: the plan is kept"
        );
        let kept = Grounds {
            first_scale: false,
            late: 1,
            corrected: &[3.0, 2.1],
            kept: Some(Some(0.01)),
            planned: None,
            ..other
        };
        assert!(
            kept.words()
                .ends_with("less than 0.010 nats more, so the plan is kept")
        );
        assert!(
            kept.words()
                .starts_with("1 step after the stage point: losses are as")
        );
    }
}
