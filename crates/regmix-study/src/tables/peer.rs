//! ODM, ADO and Aioli for a run in another trainer, without a study.

use std::path::Path;

use regmix_data::table::MixtureTable;
use regmix_data::{Error, Mixture, Monitor, Result};
use regmix_dynamic::peers::{
    Ado, AdoOptions, Aioli, AioliOptions, Odm, OdmOptions, Peer, PeerController,
};
use regmix_regress::Constraints;

use crate::config::ScheduleMode;

/// A method that chooses the mixture of a run of `steps` steps over the domains of a table.
/// ADO starts from the mixture of its first row, the natural one; ODM and Aioli from the
/// uniform one.
///
/// # Errors
/// When the table cannot be read, there is no step, or too few for Aioli, or the mode is a
/// schedule.
pub fn peer(
    mode: ScheduleMode,
    natural: &Path,
    steps: u64,
    monitor: &dyn Monitor,
) -> Result<PeerController> {
    mode.require_peer()?;
    let table = MixtureTable::read_csv(natural)?;
    (table.notes().iter()).for_each(|note| monitor.message(note));
    let domains = table.domains().clone();
    let limits = Constraints::none(domains.clone());
    let peer = match mode {
        ScheduleMode::Ado if steps == 0 => {
            return Err(Error::input("0 steps: expected at least 1").field("--steps"));
        }
        ScheduleMode::Ado => {
            let first = table.mixtures()[0].clone();
            let ado = Ado::new(first, AdoOptions::for_steps(steps));
            Peer::Ado(ado.map_err(|e| e.in_file(natural))?)
        }
        ScheduleMode::Aioli => {
            let options = AioliOptions::for_run(steps, domains.len());
            let aioli = Aioli::new(Mixture::uniform(domains), options, steps);
            Peer::Aioli(aioli.map_err(|e| e.field("--steps"))?)
        }
        _ => {
            let uniform = Mixture::uniform(domains);
            Peer::Odm(Odm::new(uniform, OdmOptions::default())?)
        }
    };
    PeerController::new(peer, limits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use regmix_data::Silent;

    #[test]
    fn a_schedule_is_no_peer() {
        let e = peer(ScheduleMode::Offline, Path::new("natural.csv"), 10, &Silent).unwrap_err();
        assert_eq!(
            e.to_string(),
            "`offline` is planned from proxies: expected odm, ado or aioli"
        );
    }
}
