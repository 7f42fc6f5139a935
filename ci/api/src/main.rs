//! Prints the public items of a crate, one a line, from the JSON that rustdoc made of it.
//! ci/api.sh calls it.

use std::process::ExitCode;

use public_api::Builder;

fn main() -> ExitCode {
    let Some(json) = std::env::args().nth(1) else {
        eprintln!("expected the JSON of rustdoc, target/doc/CRATE.json; ci/api.sh makes it");
        return ExitCode::FAILURE;
    };
    // Derived and automatic implementations are left out: they follow from the items.
    let api = Builder::from_rustdoc_json(&json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build();
    match api {
        Ok(api) => {
            println!("{api}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!(
                "{json}: {e}\nAfter a change of the toolchain: ci/api/Cargo.toml needs the version \
                 of public-api that reads its format."
            );
            ExitCode::FAILURE
        }
    }
}
