//! `regmix scale`: what laws of scale say about sizes.

use regmix_data::Result;
use regmix_regress::scale::{ScaleFit, rank_transfer, verdict};
use serde_json::json;

use crate::args::ScaleArgs;
use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>, args: &ScaleArgs) -> Result<()> {
    let fit = match &args.fit {
        Some(folder) => ScaleFit::load(folder)?,
        None => session.open_study()?.current_scale(session.display)?,
    };
    let transfers = rank_transfer(fit.runs());
    let verdict = verdict(&transfers);
    let parameters: Vec<_> = (fit.runs().targets().iter().enumerate())
        .flat_map(|(t, target)| fit.target_laws(t).iter().map(move |law| (target, law)))
        .map(|(target, law)| {
            let named: serde_json::Map<String, serde_json::Value> = (law.parameters().into_iter())
                .map(|(name, value)| (name, value.into()))
                .collect();
            json!({ "target": target, "law": law.law(), "parameters": named, "tied": law.tied() })
        })
        .collect();
    let result = json!({
        "verdict": verdict,
        "transfer": transfers,
        "laws": parameters,
        "judged": fit.judged(),
        "trust": fit.trust(),
        "warnings": fit.warnings(),
    });
    session.print_result(&result, || show::scale(&fit, &transfers, &verdict))
}
