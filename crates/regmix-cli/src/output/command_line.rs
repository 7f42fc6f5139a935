//! Commands as a user would type them.

use std::path::Path;

use regmix_study::launch::quoted;

/// A command of a study, `regmix <verb>`, with the study's folder where that
/// is not the current one.
pub(crate) fn in_study(study: &Path, command: &str) -> String {
    let verb = command.strip_prefix("regmix ").unwrap_or(command);
    if study == Path::new(".") {
        format!("regmix {verb}")
    } else {
        format!("regmix -C {} {verb}", quoted(&study.to_string_lossy()))
    }
}

/// The verbs that work in a study.
const IN_STUDY: [&str; 15] = [
    "tokenize", "design", "train", "launch", "fit", "optimize", "schedule", "online", "target",
    "doremi", "compare", "report", "status", "retry", "clean",
];

/// A text with its commands as [`in_study`] gives them.
pub(crate) fn commands_in_study(study: &Path, text: &str) -> String {
    let mut parts = text.split("regmix ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let verb: String = part.chars().take_while(|c| c.is_alphabetic()).collect();
        match IN_STUDY.contains(&verb.as_str()) {
            true => out.push_str(&in_study(study, part)),
            false => out.push_str(&format!("regmix {part}")),
        }
    }
    out
}

/// The command that is running.
pub(crate) fn running() -> String {
    let args = std::env::args_os().skip(1);
    let args: Vec<String> = args.map(|arg| quoted(&arg.to_string_lossy())).collect();
    format!("regmix {}", args.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_with_blanks_are_quoted() {
        assert_eq!(in_study(Path::new("."), "regmix fit"), "regmix fit");
        assert_eq!(in_study(Path::new("a b"), "fit"), "regmix -C 'a b' fit");
        let help = "run `regmix train` and `regmix fit --redo` first, or `regmix demo`";
        assert_eq!(commands_in_study(Path::new("."), help), help);
        assert_eq!(
            commands_in_study(Path::new("s"), help),
            "run `regmix -C s train` and `regmix -C s fit --redo` first, or `regmix demo`"
        );
    }
}
