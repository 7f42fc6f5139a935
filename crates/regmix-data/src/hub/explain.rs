//! What a failed request to the hub means for the user.

use std::io::ErrorKind as IoKind;

use hf_hub::api::sync::ApiError;

use super::Hub;
use crate::error::{Error, ErrorKind};

/// The name of the header in which the hub says what is wrong.
const CODE: &str = "x-error-code";

/// The error of a request about `what` of the dataset `id`, a revision or a file, and
/// whether trying again may help.
pub(super) fn explain(err: ApiError, hub: &Hub, id: &str, what: &str) -> (Error, bool) {
    let text = err.to_string();
    let why = innermost(&err);
    let parts = format!(
        "remove the `.part` files in {}",
        hub.folder(id).join("blobs").display()
    );
    let response = match err {
        ApiError::RequestError(e) => (*e).into_response(),
        ApiError::IoError(e) => {
            let transient = !matches!(
                e.kind(),
                IoKind::StorageFull | IoKind::PermissionDenied | IoKind::ReadOnlyFilesystem
            );
            let err = Error::new(
                ErrorKind::Io,
                format!("fetching `{what}` of `{id}` broke off: {e}"),
            )
            .help("run the same command again: it continues where it stopped")
            .caused_by(e);
            return (err, transient);
        }
        ApiError::LockAcquisition(path) => {
            let err = Error::new(ErrorKind::Io, "another process is fetching this file")
                .in_file(path)
                .help("wait for it to finish, and run the same command again");
            return (err, false);
        }
        ApiError::InvalidResume => {
            let problem = format!("what is left of `{what}` is larger than the file");
            return (Error::failed(problem).help(parts), false);
        }
        _ => {
            let err = Error::failed(format!(
                "the hub's answer about `{what}` of `{id}` was not understood: {text}"
            ));
            return (err, false);
        }
    };
    let Some(response) = response else {
        let problem = format!("the hub at {} cannot be reached: {why}", hub.endpoint);
        let err = Error::new(ErrorKind::Io, problem);
        let help = "check the network and `HF_ENDPOINT`; what was fetched is kept";
        return (err.help(help), true);
    };
    let code = response.header(CODE).unwrap_or_default().to_owned();
    let status = response.status();
    if let Some(err) = refusal(status, &code, hub, id, what) {
        return (err, false);
    }
    let err = Error::new(
        ErrorKind::Io,
        format!("fetching `{what}` of `{id}` failed: HTTP {status}"),
    );
    match status {
        416 => (err.help(parts), false),
        code if code < 500 && code != 429 => (err, false),
        _ => (
            err.help("wait a little, and run the same command again; what was fetched is kept"),
            true,
        ),
    }
}

/// The first cause of an error, without what was made of it on the way.
fn innermost(err: &dyn std::error::Error) -> String {
    let mut cause = err;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// What the hub does not have or does not give.
fn refusal(status: u16, code: &str, hub: &Hub, id: &str, what: &str) -> Option<Error> {
    let login = match hub.has_login() {
        true => "the login that was found here may not read it",
        false => "log in with `hf auth login`, or put a token into HF_TOKEN",
    };
    let page = hub.page(id);
    Some(match (status, code) {
        (401 | 403, "GatedRepo") => Error::input(format!(
            "access to `{id}` must be granted by its owner (HTTP {status})"
        ))
        .help(format!(
            "ask for it on {page}; {login}; then run the same command again"
        )),
        (401 | 404, "RepoNotFound") | (401 | 403, _) => Error::input(format!(
            "the hub has no dataset `{id}`, or it is private (HTTP {status})"
        ))
        .help(format!(
            "compare the name with {page}; if it is private: {login}"
        )),
        (404, "RevisionNotFound") => Error::input(format!(
            "`{id}` has no branch, tag or commit `{what}` (HTTP {status})"
        ))
        .help(format!(
            "see {page}/tree/main; without `@` it is the branch `main`"
        )),
        (404, _) => Error::input(format!("the hub has no `{what}` of `{id}` (HTTP {status})"))
            .help(format!("compare the name and the revision with {page}")),
        _ => return None,
    })
}
