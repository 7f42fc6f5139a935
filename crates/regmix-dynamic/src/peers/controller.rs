//! A method that chooses the mixture of a run in another trainer.

use std::collections::BTreeMap;
use std::path::Path;

use regmix_data::sealed::{checksum, read_sealed, write_sealed};
use regmix_data::{Error, Mixture, Result};
use regmix_regress::Constraints;
use serde::{Deserialize, Serialize};

use super::Peer;
use crate::Steering;

/// The layout of the file of a state.
const VERSION: u32 = 1;

/// A [`Peer`] with the limits of its mixtures, for a run that reports its losses.
///
/// Give it the mean training losses of every step, numbered from 1, for the domains that
/// the batch contained. One step may stand for several steps of the trainer, with their
/// mean losses. The answer to every step is the mixture of the next. A peer that names
/// [steps](Peer::steps) takes the validation losses of all domains after these instead.
///
/// | observation | answer |
/// |---|---|
/// | same step and losses as the last one | accepted again, no change |
/// | any other step than the next | refused |
/// | a loss that is infinite or not positive | refused |
/// | a domain that it does not know | refused |
///
/// ```
/// use std::collections::BTreeMap;
/// use regmix_data::{DomainSet, Mixture};
/// use regmix_dynamic::Steering;
/// use regmix_dynamic::peers::{Odm, OdmOptions, Peer, PeerController};
/// use regmix_regress::Constraints;
///
/// let domains = DomainSet::from_names(["web", "code"])?;
/// let odm = Odm::new(Mixture::uniform(domains.clone()), OdmOptions::default())?;
/// let mut peer = PeerController::new(Peer::Odm(odm), Constraints::none(domains))?;
/// let losses = BTreeMap::from([("web".to_owned(), 5.0), ("code".to_owned(), 2.0)]);
/// for step in 1..=20 {
///     peer.observe(step, &losses)?;
/// }
/// assert!(peer.mixture().weights()[0] > 0.5);
/// assert!(peer.observe(30, &losses).is_err());
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PeerController {
    limits: Constraints,
    /// At the start of the run.
    fresh: Peer,
    state: PeerState,
}

/// The state of a run, written after every observation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerState {
    version: u32,
    /// Names the method at its start, and its limits.
    fingerprint: String,
    peer: Peer,
    mixture: Mixture,
    last_step: Option<u64>,
    last_losses: Vec<Option<f64>>,
    refused: u64,
}

impl PeerController {
    /// Before the first step of a run.
    ///
    /// # Errors
    /// When the limits are over other domains.
    pub fn new(fresh: Peer, limits: Constraints) -> Result<Self> {
        // They refuse weights of other domains.
        limits.project(fresh.first().weights())?;
        let json = serde_json::to_string(&fresh).map_err(|e| Error::failed(e.to_string()))?;
        let state = PeerState {
            version: VERSION,
            fingerprint: checksum(format!("{json}{limits:?}").as_bytes()),
            mixture: fresh.first().clone(),
            last_losses: vec![None; fresh.first().weights().len()],
            peer: fresh.clone(),
            last_step: None,
            refused: 0,
        };
        Ok(Self {
            limits,
            fresh,
            state,
        })
    }

    /// The losses in the order of the domains.
    fn in_order(&self, losses: &BTreeMap<String, f64>) -> Result<Vec<Option<f64>>> {
        let domains = self.fresh.first().domains();
        if let Some(unknown) = losses.keys().find(|name| domains.position(name).is_none()) {
            let known: Vec<&str> = domains.names().collect();
            return Err(Error::input(format!(
                "unknown loss `{unknown}`: expected one of {}",
                known.join(", ")
            ))
            .field("losses")
            .help("report losses of the domains of the mixture alone"));
        }
        let of = |name| losses.get(name).copied().filter(|loss| !loss.is_nan());
        Ok(domains.names().map(of).collect())
    }
}

impl Steering for PeerController {
    type State = PeerState;

    fn observe(&mut self, step: u64, losses: &BTreeMap<String, f64>) -> Result<Option<Mixture>> {
        let observed = self.in_order(losses).and_then(|losses| {
            if self.state.last_step == Some(step) && self.state.last_losses == losses {
                return Ok(None);
            }
            // On a copy, so that a failure leaves no trace.
            let mut peer = self.state.peer.clone();
            let limit = |weights: &[f64]| self.limits.project(weights);
            let mixture = peer.observe(step, &losses, &limit)?;
            Ok(Some((peer, mixture, losses)))
        });
        match observed {
            Ok(None) => Ok(None),
            Ok(Some((peer, mixture, losses))) => {
                let changed = mixture != self.state.mixture;
                self.state.peer = peer;
                self.state.mixture = mixture;
                self.state.last_step = Some(step);
                self.state.last_losses = losses;
                Ok(changed.then(|| self.state.mixture.clone()))
            }
            Err(e) => {
                self.state.refused += 1;
                Err(e)
            }
        }
    }

    fn mixture(&self) -> &Mixture {
        &self.state.mixture
    }

    fn state(&self) -> &PeerState {
        &self.state
    }

    fn restore(&mut self, state: PeerState) {
        self.state = state;
    }

    fn last_step(&self) -> Option<u64> {
        self.state.last_step
    }

    fn decision_steps(&self) -> Option<&[u64]> {
        self.fresh.steps()
    }

    fn losses(&self) -> Vec<&str> {
        self.fresh.first().domains().names().collect()
    }

    fn save_state(&self, path: &Path) -> Result<()> {
        write_sealed(path, &self.state)
    }

    fn load_state(&mut self, path: &Path) -> Result<()> {
        if !path.exists() {
            return Ok(());
        }
        let remedy =
            "go back to an older copy of the state, or move it away to start the run again";
        let state: PeerState = read_sealed(path, VERSION, remedy)?;
        if state.fingerprint != self.state.fingerprint {
            return Err(Error::input(
                "the state of another run: its method, options, first mixture or limits differ",
            )
            .in_file(path)
            .help("put them back, or move the state away to start the run again"));
        }
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::{Ado, AdoOptions, Aioli, AioliOptions, Odm, OdmOptions};
    use crate::protocol::answer;
    use regmix_data::DomainSet;

    fn domains() -> DomainSet {
        DomainSet::from_names(["web", "code", "law"]).unwrap()
    }

    fn odm(cap: f64) -> PeerController {
        let odm = Odm::new(Mixture::uniform(domains()), OdmOptions::default()).unwrap();
        let limits = Constraints::none(domains()).with_cap("web", cap).unwrap();
        PeerController::new(Peer::Odm(odm), limits).unwrap()
    }

    fn losses(step: u64) -> BTreeMap<String, f64> {
        let of = |k: u64| 2.0 + k as f64 + 1.0 / (step + k) as f64;
        let named = [("web", of(3)), ("code", of(1)), ("law", of(2))];
        named.map(|(name, loss)| (name.to_owned(), loss)).into()
    }

    #[test]
    fn a_run_that_was_cut_gives_the_same_mixtures() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let options = AdoOptions {
            warm_up: 5,
            refit_every: 5,
            block: 1,
            ..AdoOptions::default()
        };
        let ado = Ado::new(Mixture::uniform(domains()), options).unwrap();
        let ado = PeerController::new(Peer::Ado(ado), Constraints::none(domains())).unwrap();
        for start in [ado, odm(0.4)] {
            let mut whole = start.clone();
            let mut cut = start.clone();
            for step in 1..30 {
                whole.observe(step, &losses(step)).unwrap();
                cut.observe(step, &losses(step)).unwrap();
                cut.save_state(&path).unwrap();
                cut = start.clone();
                cut.load_state(&path).unwrap();
            }
            assert_eq!(cut.state(), whole.state());
            assert!(whole.mixture() != start.mixture());
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn losses_of_all_domains_are_taken_at_the_steps_that_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let aioli = Aioli::new(
            Mixture::uniform(domains()),
            AioliOptions::for_run(300, 3),
            300,
        );
        let start = PeerController::new(Peer::Aioli(aioli.unwrap()), Constraints::none(domains()));
        let (mut whole, mut cut) = (start.clone().unwrap(), start.clone().unwrap());
        let due = whole.decision_steps().unwrap().to_vec();
        assert_eq!(due.len(), 13);
        assert!(whole.observe(due[0] - 1, &losses(1)).is_err());
        let mut some = losses(1);
        some.remove("law");
        assert!(whole.observe(due[0], &some).is_err());
        for step in due {
            whole.observe(step, &losses(step)).unwrap();
            assert_eq!(whole.observe(step, &losses(step)).unwrap(), None);
            cut.observe(step, &losses(step)).unwrap();
            cut.save_state(&path).unwrap();
            cut = start.clone().unwrap();
            cut.load_state(&path).unwrap();
        }
        assert_eq!(cut.mixture(), whole.mixture());
        assert_eq!(cut.state().peer, whole.state().peer);
        let (line, _) = answer(&mut cut, r#"{"op":"health"}"#);
        assert!(line.contains(r#""decision_steps":[15,"#), "{line}");
    }

    #[test]
    fn limits_are_kept_and_missing_losses_allowed() {
        let mut peer = odm(0.35);
        for step in 1..50 {
            let mut losses = losses(step);
            if step % 3 == 0 {
                losses.insert("law".to_owned(), f64::NAN);
            }
            peer.observe(step, &losses).unwrap();
            assert!(peer.mixture().weights()[0] < 0.35 + 1e-9);
        }
    }

    #[test]
    fn unusual_observations_change_nothing() {
        let mut peer = odm(1.0);
        peer.observe(1, &losses(1)).unwrap();
        let before = peer.clone();
        assert_eq!(peer.observe(1, &losses(1)).unwrap(), None);
        assert_eq!(peer.state(), before.state());
        let mut refused = |step: u64, name: &str, loss: f64| {
            let mut losses = losses(2);
            losses.insert(name.to_owned(), loss);
            let e = peer.observe(step, &losses).unwrap_err();
            assert_eq!(peer.mixture(), before.mixture());
            e.to_string()
        };
        assert_eq!(
            refused(1, "web", 2.0),
            "`step`: step 1: expected 2, the next one"
        );
        assert_eq!(
            refused(4, "web", 2.0),
            "`step`: step 4: expected 2, the next one"
        );
        assert_eq!(
            refused(2, "web", -1.0),
            "`losses`: loss -1: expected a number above 0"
        );
        assert_eq!(
            refused(2, "text", 2.0),
            "`losses`: unknown loss `text`: expected one of web, code, law"
        );
        assert_eq!(peer.state().refused, 4);
    }

    #[test]
    fn a_trainer_asks_by_lines_of_json() {
        let mut peer = odm(1.0);
        // At first it explores: the mixture stays even.
        let (line, changed) = answer(&mut peer, r#"{"step":1,"losses":{"web":5.0,"code":null}}"#);
        let start = r#"{"ok":true,"switch":false,"mixture":{"web":"#;
        assert!(changed && line.starts_with(start), "{line}");
        for step in 2..20 {
            peer.observe(step, &losses(step)).unwrap();
        }
        let (line, _) = answer(&mut peer, r#"{"step":20,"losses":{"web":5.0,"law":2.0}}"#);
        assert!(line.starts_with(r#"{"ok":true,"switch":true"#), "{line}");
        let (line, _) = answer(&mut peer, r#"{"op":"health"}"#);
        assert!(
            line.contains(r#""last_step":20"#) && !line.contains("decision_steps"),
            "{line}"
        );
        let (line, _) = answer(&mut peer, r#"{"op":"state"}"#);
        assert!(line.contains(r#""odm""#), "{line}");
    }

    #[test]
    fn a_state_of_another_run_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        odm(0.4).save_state(&path).unwrap();
        let mut other = odm(0.5);
        let e = other.load_state(&path).unwrap_err().to_string();
        assert!(e.contains("the state of another run"), "{e}");
        std::fs::write(&path, "{").unwrap();
        assert!(other.load_state(&path).is_err());
    }
}
