//! `regmix cmr`: the critical mixture ratio of continual pre-training.

use regmix_data::Result;
use regmix_study::tables::{CmrQuestion, cmr};

use crate::args::CmrArgs;
use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>, args: &CmrArgs) -> Result<()> {
    let asked = CmrQuestion {
        general: args.general.clone(),
        special: args.special.clone(),
        special_target: args.special_target.clone(),
        epsilon: args.epsilon,
        tokens: args.tokens,
    };
    let found = cmr(&args.mixtures, &args.trajectories, &asked)?;
    session.print_result(&found, || show::cmr(&found, &args.special))
}
