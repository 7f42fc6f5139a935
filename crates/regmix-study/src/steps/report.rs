//! Writing `report.html`.

use std::path::PathBuf;

use regmix_data::{Result, TokenCorpus, artefact};
use regmix_dynamic::{ControllerState, Trajectories};

use crate::check::TargetCheck;
use crate::config::ScheduleMode;
use crate::report::Report;
use crate::study::{Study, natural_mixture};

impl Study {
    /// Writes the page about everything that is finished, and gives its path.
    ///
    /// # Errors
    /// When there is no mixture yet, a file is damaged, or the disk refuses.
    pub fn report(&self) -> Result<PathBuf> {
        let recommendation = self.recommendation()?;
        let fit = self.load_fit()?;
        let corpus = self.corpus()?;
        let natural = natural_mixture(corpus.manifest())?;
        let interactions =
            regmix_regress::Interactions::around(&fit, &natural.reordered(fit.domains())?)?;
        let trajectories = self.path("trajectories.csv");
        let trajectories = match trajectories.exists() {
            true => Some(Trajectories::read_csv(trajectories)?),
            false => None,
        };
        let check = self.path("check.json");
        let check: Option<TargetCheck> = match check.exists() {
            true => Some(artefact::read_json(check)?),
            false => None,
        };
        let schedule = match self.path("schedule.json").exists() {
            true => Some(self.load_schedule()?),
            false => None,
        };
        let decisions = self.decisions(check.as_ref())?;
        let scheduled = self.scheduled(check.as_ref(), &corpus)?;
        let design = self.mixtures()?;
        let html = Report {
            name: &self.config().study.name,
            recommendation: &recommendation,
            fit: &fit,
            interactions: Some(&interactions),
            trajectories: trajectories.as_ref(),
            check: check.as_ref(),
            schedule: schedule.as_ref(),
            scheduled: scheduled.as_ref(),
            decisions: &decisions,
            corpus: Some(corpus.manifest()),
            design: Some(&design),
            proxy_epochs: &self.proxy_epochs()?,
            facts: &self.facts(corpus.vocab_size())?,
            commands: &next_commands(check.is_some()),
        }
        .to_html();
        let path = self.path("report.html");
        artefact::write_atomic(&path, html.as_bytes())?;
        Ok(path)
    }

    /// Losses along training of the targets of the check that had a schedule.
    fn scheduled(
        &self,
        check: Option<&TargetCheck>,
        corpus: &TokenCorpus,
    ) -> Result<Option<Trajectories>> {
        let modes = [ScheduleMode::Offline, ScheduleMode::Online].map(ScheduleMode::name);
        let all = check.map_or(&[][..], |check| &check.runs);
        let runs: Vec<String> = (modes.iter())
            .flat_map(|mode| all.iter().filter(move |r| r.arm == *mode))
            .filter(|r| self.path("targets").join(&r.run).exists())
            .map(|r| r.run.clone())
            .collect();
        match runs.is_empty() {
            true => Ok(None),
            false => self.read_runs("targets", &runs, corpus).map(Some),
        }
    }

    /// What the controller decided in the targets of the check.
    fn decisions(&self, check: Option<&TargetCheck>) -> Result<Vec<(String, ControllerState)>> {
        let runs = check.map_or(&[][..], |check| &check.runs);
        let mut out = Vec::new();
        for run in runs.iter().filter(|r| r.arm == ScheduleMode::Online.name()) {
            let path = self.path("targets").join(&run.run).join("decisions.json");
            if path.exists() {
                out.push((run.run.clone(), artefact::read_json(path)?));
            }
        }
        Ok(out)
    }

    fn facts(&self, vocab: u32) -> Result<Vec<(String, String)>> {
        let config = self.config();
        let run = |section: &crate::config::RunSection| -> Result<String> {
            let model = section.model(vocab)?;
            let p = model.parameters();
            let tokens = section.steps * (section.batch_size * model.context) as u64;
            Ok(format!(
                "{}: {} parameters ({} embedding, {} other), {} steps of {} x {} tokens = {} tokens",
                section.preset,
                grouped(p.total() as u64),
                grouped(p.embedding as u64),
                grouped(p.non_embedding as u64),
                grouped(section.steps),
                section.batch_size,
                model.context,
                grouped(tokens),
            ))
        };
        let rows = [
            ("Proxy", run(&config.proxy)?),
            ("Target", run(&config.target)?),
            ("Vocabulary", grouped(u64::from(vocab))),
            (
                "Design",
                format!("{:?}, {} runs", config.design.sampler, config.design.runs).to_lowercase(),
            ),
            ("Objective", config.objective.objective()?.to_string()),
            (
                "Repetition limit",
                format!("{} epochs", config.constraints.max_epochs),
            ),
            ("Seed", config.study.seed.to_string()),
            ("regmix", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        Ok(rows
            .map(|(label, value)| (label.to_owned(), value))
            .to_vec())
    }
}

fn next_commands(checked: bool) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    if !checked {
        rows.push(("Check the promise on a larger model", "regmix target"));
    }
    rows.push((
        "Predict the losses of your own mixtures",
        "regmix predict --mixtures mine.csv --out predicted.csv",
    ));
    rows.push((
        "Search again for another objective or other limits",
        "edit study.toml, then: regmix optimize --redo",
    ));
    rows.iter()
        .map(|(what, command)| ((*what).to_owned(), (*command).to_owned()))
        .collect()
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(123), "123");
        assert_eq!(grouped(1234), "1,234");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
