//! `regmix mixtures`: mixtures that need no proxies.

use regmix_data::Result;
use regmix_study::tables::refuse_to_overwrite;

use crate::args::MixturesArgs;
use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>, args: &MixturesArgs) -> Result<()> {
    if let Some(out) = &args.out {
        refuse_to_overwrite(out, args.redo)?;
    }
    let study = session.open_study()?;
    let found = study.plain_mixtures(&args.method, args.utilities.as_deref(), session.display)?;
    if let Some(out) = &args.out {
        let table = found.table().map_err(|e| e.field("--method"))?;
        table.write_csv(out)?;
    }
    session.print_result(&found, || show::plain_mixtures(&found))
}
