//! What a trainer would misread is refused, and so is a mapping that does not fit.

use regmix_data::exchange::{ExportOptions, ExportPlan, Mapping, SampleUnit, Trainer, export};

use super::{exported, mapping, place, plan, stages, whole_mapping};

/// The text of the error of a mapping that was changed.
fn refused(trainer: Trainer, change: impl FnOnce(&mut Mapping)) -> String {
    let mut mapping = whole_mapping(trainer);
    change(&mut mapping);
    exported(&plan(), &mapping, trainer)
        .unwrap_err()
        .to_string()
}

/// The same for another path of `web`.
fn refused_path(trainer: Trainer, path: &str) -> String {
    refused(trainer, |m| {
        m.domains.get_mut("web").unwrap().path = Some(path.to_owned())
    })
}

#[test]
fn a_mapping_that_lacks_domains_names_them() {
    assert_eq!(
        refused(Trainer::Nanotron, |m| {
            m.domains.remove("law");
            m.domains.remove("web");
            m.domains.remove("old");
        }),
        "no data for `web`, `law`: nanotron needs a path for every domain"
    );
    // Levanter keeps domains of weight 0, to evaluate on them.
    assert_eq!(
        refused(Trainer::Levanter, |m| m
            .domains
            .get_mut("old")
            .unwrap()
            .path = None),
        "no data for `old`: levanter needs a path for every domain"
    );
    assert_eq!(
        refused(Trainer::Nanotron, |m| {
            m.domains.insert("wbe".to_owned(), Default::default());
        }),
        "`domains.wbe`: unknown domain `wbe`: expected one of web, code, law, old"
    );
}

#[test]
fn a_mapping_that_cannot_be_right_is_refused() {
    let web = |change: fn(&mut regmix_data::exchange::Source)| {
        refused(Trainer::Nanotron, |m| {
            change(m.domains.get_mut("web").unwrap())
        })
    };
    assert_eq!(
        web(|s| s.path = Some("/data/code_text_document".to_owned())),
        "`domains.web.path`: `/data/code_text_document` is the data of `code` as well: expected \
         data of its own"
    );
    assert_eq!(
        web(|s| s.path = Some(" /data/web".to_owned())),
        "`domains.web.path`: \" /data/web\", expected a path of printable text without blanks at \
         its ends"
    );
    assert_eq!(
        web(|s| s.paths = vec!["/b".to_owned()]),
        "`domains.web`: both `path` and `paths`: expected one of them"
    );
    assert_eq!(
        web(|s| {
            s.path = None;
            s.paths = vec!["/a".to_owned(), "/b".to_owned()];
        }),
        "`domains.web.paths`: 2 paths, expected one: nanotron gives a weight to every path"
    );
    assert_eq!(
        web(|s| s.tokens = Some(0.0)),
        "`domains.web.tokens`: 0, expected a number above 0"
    );
    assert_eq!(
        web(|s| s.name = Some("code".to_owned())),
        "`domains.code.name`: `code` is the name of `web` as well: expected one of its own"
    );
    assert_eq!(
        refused(Trainer::Nanotron, |m| m.run.unit =
            Some(SampleUnit::Documents)),
        "`run.unit`: `documents`: nanotron draws sequences"
    );
    assert_eq!(
        refused(Trainer::Nanotron, |m| m.run.tokens = None),
        "`run.tokens`: `max_epochs` without the tokens of the run: expected both"
    );
}

#[test]
fn a_domain_above_its_cap_is_refused_unless_forced() {
    let mut mapping = mapping(place(Trainer::OlmoCore));
    mapping.domains.get_mut("law").unwrap().tokens = Some(100e6);
    mapping.domains.get_mut("code").unwrap().max_epochs = Some(1.0);
    let error = exported(&plan(), &mapping, Trainer::OlmoCore).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the run would read `code` 1.2000 times where 1 are allowed, `law` 18.0000 times where 4 \
         are allowed"
    );
    let force = ExportOptions {
        force: true,
        ..ExportOptions::default()
    };
    let out = export(&plan(), &mapping, Trainer::OlmoCore, &force).unwrap();
    // The trainer refuses without a limit.
    assert!(
        out.files[0].text.contains("max_repetition_ratio: 18.02\n"),
        "{:?}",
        out.files
    );
    assert!((out.domains[2].epochs.unwrap() - 18.0).abs() < 1e-6);
}

#[test]
fn olmo_core_repeats_nothing_that_it_was_not_told() {
    assert_eq!(
        refused(Trainer::OlmoCore, |m| m.run.max_epochs = None),
        "`domains.code.max_epochs`: the run reads the domain 1.20 times, and the trainer refuses \
         to repeat data unless it is given a limit"
    );
    assert_eq!(
        refused_path(Trainer::OlmoCore, "/data/web"),
        "`domains.web.path`: \"/data/web\": OLMo-core reads arrays of tokens, expected a path or a \
         pattern that ends in `.npy`"
    );
    // No ratio is 0.
    let out = exported(
        &plan(),
        &whole_mapping(Trainer::OlmoCore),
        Trainer::OlmoCore,
    )
    .unwrap();
    assert!(!out.files[0].text.contains("old"));
}

#[test]
fn megatron_lists_are_weights_and_prefixes_in_turn() {
    for trainer in [Trainer::Megatron, Trainer::MegatronArgs] {
        assert_eq!(
            refused_path(trainer, "/data/my web"),
            "`domains.web.path`: \"/data/my web\": the list is taken apart at blanks, and quotes \
             and a `-` at the beginning mean something else"
        );
    }
    for trainer in [
        Trainer::Megatron,
        Trainer::MegatronArgs,
        Trainer::MegatronJson,
        Trainer::Nemo,
        Trainer::MegatronBridge,
        Trainer::GptNeoX,
    ] {
        for number in ["0.5", "1_000", "nan", "1e3"] {
            assert_eq!(
                refused_path(trainer, number),
                format!("`domains.web.path`: \"{number}\": it would be read as a weight")
            );
        }
        assert_eq!(
            refused_path(trainer, "/data/web.bin"),
            "`domains.web.path`: \"/data/web.bin\": expected the prefix that the two files share, \
             without `.bin` and `.idx`"
        );
    }
    // In JSON, a blank is part of the path.
    let mut spaced = whole_mapping(Trainer::MegatronJson);
    spaced.domains.get_mut("web").unwrap().path = Some("/data/my web".to_owned());
    assert!(exported(&plan(), &spaced, Trainer::MegatronJson).is_ok());
}

#[test]
fn formats_of_three_splits_want_all_three() {
    for trainer in [Trainer::MegatronJson, Trainer::Nemo, Trainer::GptNeoX] {
        let without_test = refused(trainer, |m| m.domains.get_mut("web").unwrap().test = None);
        assert_eq!(
            without_test,
            format!(
                "no domain has `test`: {trainer} reads training, validation and test data \
                 together, or refuses"
            )
        );
    }
    let out = exported(&plan(), &whole_mapping(Trainer::GptNeoX), Trainer::GptNeoX).unwrap();
    assert!(
        out.files[0]
            .text
            .contains("\"weight_by_num_documents\": false")
    );
}

#[test]
fn levanter_changes_at_blocks_only() {
    let mut mapping = mapping(place(Trainer::Levanter));
    let off = |mapping: &Mapping| {
        let error = exported(&stages(), mapping, Trainer::Levanter).unwrap_err();
        error.to_string()
    };
    mapping.run.batch_size = None;
    assert_eq!(
        off(&mapping),
        "`run.batch_size`: levanter changes its mixture every 2048 sequences: expected the \
         sequences of a step"
    );
    // 2048 steps of 100 sequences are no multiple of a block, 512 steps are.
    mapping.run.batch_size = Some(100);
    let exact = exported(&stages(), &mapping, Trainer::Levanter).unwrap();
    assert!(exact.files[0].text.contains("- [2048, "));
    mapping.run.batch_size = Some(1);
    let switches = vec![
        (0, super::mixture(super::WEIGHTS)),
        (3000, super::mixture([0.25; 4])),
    ];
    let plan = ExportPlan::of_switches(switches, 6000, 12e9).unwrap();
    let error = exported(&plan, &mapping, Trainer::Levanter).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the mixture changes at step 3000: levanter changes it only after blocks of 2048 \
         sequences, which are the multiples of 2048 steps, such as 2048 or 4096"
    );
    let align = ExportOptions {
        align: true,
        ..ExportOptions::default()
    };
    let moved = export(&plan, &mapping, Trainer::Levanter, &align).unwrap();
    assert!(
        moved.files[0].text.contains("- [2048, "),
        "{:?}",
        moved.files
    );
}

#[test]
fn trainers_without_stages_take_no_schedule() {
    for trainer in Trainer::ALL.into_iter().filter(|t| !t.knows_stages()) {
        let error = exported(&stages(), &whole_mapping(trainer), trainer).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the mixture changes 2 times, and {trainer} keeps one for the whole run")
        );
    }
    let mut other = mapping(place(Trainer::Nanotron));
    other.run.tokens = Some(46e9);
    assert_eq!(
        exported(&stages(), &other, Trainer::Nanotron)
            .unwrap_err()
            .to_string(),
        "`run.tokens`: 46000000000 tokens, and the schedule is for 12000000000: expected the \
         same, or none"
    );
}

#[test]
fn beginnings_of_file_names_take_no_files_of_others() {
    assert_eq!(
        refused_path(Trainer::TinyLlama, "train_l"),
        "`domains.web.path`: \"train_l\": files of `law`, whose names begin with \"train_law\", \
         would be read as well"
    );
    // RegMix's trainer looks for `<key>-`.
    let out = |path: &str| refused_path(Trainer::RegmixYaml, path);
    let mut fine = whole_mapping(Trainer::RegmixYaml);
    fine.domains.get_mut("web").unwrap().path = Some("train_l".to_owned());
    assert!(exported(&plan(), &fine, Trainer::RegmixYaml).is_ok());
    assert_eq!(
        refused(Trainer::RegmixYaml, |m| {
            m.domains.get_mut("law").unwrap().path = Some("train_web-law".to_owned());
        }),
        "`domains.web.path`: \"train_web\": files of `law`, whose names begin with \
         \"train_web-law\", would be read as well"
    );
    assert_eq!(
        out("train_*"),
        "`domains.web.path`: \"train_*\": expected the beginning of file names, without a pattern"
    );
    assert_eq!(
        refused(Trainer::RegmixYaml, |m| m
            .domains
            .get_mut("web")
            .unwrap()
            .valid = None),
        "no domain has `valid`: RegMix's trainer measures losses of the keys under `valid`"
    );
}

#[test]
fn streams_have_folders_of_their_own() {
    assert_eq!(
        refused(Trainer::MosaicStreaming, |m| {
            for domain in ["web", "law"] {
                m.domains.get_mut(domain).unwrap().local = Some("/cache".to_owned());
            }
        }),
        "`domains.law.local`: \"/cache\": another stream has the same folder, and they would \
         overwrite each other"
    );
}

#[test]
fn documents_need_mean_lengths() {
    for trainer in [Trainer::HfDatasets, Trainer::TorchTitan, Trainer::Energon] {
        assert_eq!(
            refused(trainer, |m| {
                m.domains.get_mut("web").unwrap().documents = None;
                m.domains.get_mut("law").unwrap().tokens = None;
            }),
            format!(
                "{trainer} draws documents, and weights are shares of tokens: expected `tokens` \
                 and `documents` of `web`, `law`"
            )
        );
    }
}

#[test]
fn python_needs_names_and_kinds_of_files() {
    assert_eq!(
        refused(Trainer::TorchTitan, |m| {
            m.domains.get_mut("web").unwrap().name = Some("class".to_owned());
        }),
        "`domains.web.name`: \"class\": torchtitan's mixture is Python, expected a name of Python"
    );
    assert_eq!(
        refused_path(Trainer::HfDatasets, "/data/web"),
        "`domains.web.path`: [\"/data/web\"]: expected files of one kind: .jsonl, .json, .parquet, \
         .csv, .txt or .arrow, also compressed (.gz, .zst), or `hf://owner/name`"
    );
    assert_eq!(
        refused(Trainer::LitGpt, |m| m.run.sequence_length = None),
        "`run.sequence_length`: litgpt cuts its data by the tokens of a sequence: expected them"
    );
}
