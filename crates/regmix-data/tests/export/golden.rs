//! Every format as it was when it was last looked at.

use std::path::{Path, PathBuf};

use regmix_data::exchange::{Exported, Trainer};

use super::{exported, mapping, place, plan, stages, whole_mapping};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export/golden")
}

/// Compares the files with those in a folder of `golden`.
fn compare(name: &str, exported: &Exported) {
    for file in &exported.files {
        let path = folder().join(name).join(&file.name);
        if std::env::var("REGMIX_GOLDEN").is_ok_and(|v| v == "write") {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &file.text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            file.text == golden,
            "{} is\n{golden}\nand what is written\n{}",
            path.display(),
            file.text
        );
    }
}

#[test]
fn every_trainer_gets_its_format() {
    for trainer in Trainer::ALL {
        let out = exported(&plan(), &whole_mapping(trainer), trainer).unwrap();
        assert_eq!(out.files.len(), 1, "{trainer}");
        compare(trainer.name(), &out);
    }
}

#[test]
fn trainers_with_stages_get_a_schedule() {
    let mut written = 0;
    for trainer in Trainer::ALL.into_iter().filter(|t| t.knows_stages()) {
        let out = exported(&stages(), &mapping(place(trainer)), trainer).unwrap();
        compare(&format!("{trainer}-stages"), &out);
        written += 1;
    }
    assert_eq!(written, 6);
}

#[test]
fn without_held_out_text_megatron_and_nemo_split_their_data() {
    for (trainer, name) in [
        (Trainer::Megatron, "megatron-split"),
        (Trainer::Nemo, "nemo-split"),
    ] {
        let out = exported(&plan(), &mapping(place(trainer)), trainer).unwrap();
        compare(name, &out);
    }
}

#[test]
fn names_stand_for_trainers() {
    for trainer in Trainer::ALL {
        assert_eq!(trainer.name().parse::<Trainer>().unwrap(), trainer);
    }
    assert_eq!("olmo_core".parse::<Trainer>().unwrap(), Trainer::OlmoCore);
    let unknown = "pytorch".parse::<Trainer>().unwrap_err().to_string();
    assert!(unknown.starts_with("unknown trainer `pytorch`: expected one of megatron, "));
}
