//! What a launch asks for, and the commands of its workers.

use regmix_data::{Error, Result};

use crate::study::Study;

/// The steps after training, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// `regmix fit`
    Fit,
    /// `regmix optimize`
    Optimize,
    /// `regmix schedule`
    Schedule,
    /// `regmix target`
    Target,
    /// `regmix report`
    Report,
}

/// What is asked of an engine.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The path of this program.
    pub program: String,
    /// How many workers, instead of those of `[launch]`.
    pub workers: Option<u32>,
    /// Further arguments of `regmix train` and `regmix target`.
    pub arguments: Vec<String>,
    /// The last step that follows on training; Slurm only.
    pub through: Option<Step>,
    /// Whether workers are added while others are queued.
    pub again: bool,
}

/// Which launch of which campaign.
#[derive(Debug, Clone, Copy)]
pub(super) struct Campaign<'a> {
    /// The number that workers compare with that of their folder.
    pub(super) nonce: Option<&'a str>,
    /// The number of this launch, from 1.
    pub(super) launch: u32,
}

/// A job as its engine is given it.
pub(super) struct Rendered {
    /// What it does.
    pub(super) step: String,
    /// What the engine calls it.
    pub(super) name: String,
    /// Its tasks.
    pub(super) workers: u32,
    /// The script, the manifest or the command.
    pub(super) text: String,
    /// The arguments of the command, where the engine is given nothing else.
    pub(super) arguments: Vec<String>,
}

/// The flag of workers that leave the last runs to others.
const NO_WAIT: &str = "--no-wait";

/// The commands of a worker.
pub(super) struct Worker<'a> {
    /// The program, after what starts a container.
    pub(super) program: Vec<String>,
    /// The folder of the study as the worker sees it.
    pub(super) study: String,
    /// The number of the campaign.
    pub(super) nonce: Option<&'a str>,
    /// Whether it stays until the runs of the others have ended.
    pub(super) wait: bool,
    /// Further arguments.
    pub(super) arguments: &'a [String],
}

impl Worker<'_> {
    /// `regmix VERB` in the study.
    pub(super) fn verb(&self, verb: &[&str]) -> Vec<String> {
        let study = ["-C".to_owned(), self.study.clone()];
        let verb = verb.iter().map(|word| (*word).to_owned());
        (self.program.iter().cloned())
            .chain(study)
            .chain(verb)
            .collect()
    }

    /// The same for `train` and `target`, whose workers divide the runs among
    /// themselves.
    pub(super) fn shared(&self, verb: &str) -> Vec<String> {
        let mut words = self.verb(&[verb]);
        if let Some(nonce) = self.nonce {
            words.extend(["--campaign".to_owned(), nonce.to_owned()]);
        }
        let given = self.arguments.iter().any(|argument| argument == NO_WAIT);
        if !self.wait && !given {
            words.push(NO_WAIT.to_owned());
        }
        words.extend(self.arguments.iter().cloned());
        words
    }
}

/// The study's folder from the root of the file system on. Links stay: what
/// they lead to may have another name on other hosts.
pub(super) fn folder(study: &Study) -> Result<String> {
    let path = std::path::absolute(study.root()).map_err(|e| Error::io(study.root(), e))?;
    let text = path.to_str().filter(|t| !t.chars().any(char::is_control));
    text.map(str::to_owned).ok_or_else(|| {
        Error::input("the path of the study cannot be written into a script")
            .in_file(&path)
            .help("give the folder a name of printable UTF-8 text")
    })
}

/// The name of the study as engines take names: lower-case letters, digits
/// and `-`.
pub(super) fn plain_name(study: &Study) -> String {
    let name = study.config().study.name.to_lowercase();
    let plain: String = name
        .chars()
        .map(|c| match c.is_ascii_alphanumeric() {
            true => c,
            false => '-',
        })
        .take(30)
        .collect();
    let parts: Vec<&str> = plain.split('-').filter(|part| !part.is_empty()).collect();
    match parts.is_empty() {
        true => "study".to_owned(),
        false => parts.join("-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_studies_become_names_of_jobs() {
        let dir = tempfile::tempdir().unwrap();
        for (i, (name, plain)) in [
            ("my study", "my-study"),
            ("Größe: 60M (new)", "gr-e-60m-new"),
            ("--", "study"),
            (
                "a-name-that-is-longer-than-jobs-may-have",
                "a-name-that-is-longer-than-job",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let study = Study::init(
                dir.path().join(i.to_string()),
                name,
                "text".as_ref(),
                &regmix_data::Silent,
            );
            assert_eq!(plain_name(&study.unwrap()), plain);
        }
    }

    #[test]
    fn a_worker_is_one_command() {
        let worker = Worker {
            program: vec!["regmix".to_owned()],
            study: "/a study".to_owned(),
            nonce: Some("12"),
            wait: false,
            arguments: &["--device".to_owned(), "cuda".to_owned()],
        };
        assert_eq!(
            worker.shared("train").join(" "),
            "regmix -C /a study train --campaign 12 --no-wait --device cuda"
        );
        assert_eq!(
            worker.verb(&["launch", "ready"]).join(" "),
            "regmix -C /a study launch ready"
        );
    }
}
