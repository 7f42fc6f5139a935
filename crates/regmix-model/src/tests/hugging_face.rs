//! Models in Hugging Face's layout: there and back, and files from elsewhere.

use std::collections::HashMap;
use std::path::Path;

use regmix_data::{Error, Silent, random};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use super::runs::{corpus, spec};
use super::{cpu, tiny};
use crate::config::ModelConfig;
use crate::hugging_face::{read, write};
use crate::parameters;
use crate::run::{TrainedModel, train};

const WEIGHTS: &str = "model.safetensors";

fn weights(config: &ModelConfig) -> Vec<Vec<f32>> {
    parameters::init(config, &mut random::stream(3, "test", "hugging_face")).unwrap()
}

/// A model that was written into a folder.
fn written(folder: &Path) -> (ModelConfig, Vec<Vec<f32>>) {
    let config = tiny();
    let values = weights(&config);
    write(folder, &config, &values, 12).unwrap();
    (config, values)
}

fn edit(folder: &Path, change: impl FnOnce(&mut Value)) {
    let path = folder.join("config.json");
    let mut json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    std::fs::write(&path, json.to_string()).unwrap();
}

/// Writes tensors by name, shape and bytes.
fn store(path: &Path, dtype: Dtype, tensors: &[(&str, Vec<usize>, Vec<u8>)]) {
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(dtype, shape.clone(), bytes).unwrap();
        ((*name).to_owned(), view)
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn a_run_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = corpus(&dir.path().join("corpus"));
    for tied in [false, true] {
        let mut spec = spec(&corpus, "run", 0.5);
        spec.train.keep_weights = true;
        spec.model.tied = tied;
        let [run, out] = ["run", "hf"].map(|name| dir.path().join(format!("{name}-{tied}")));
        train(&spec, &corpus, &run, &cpu(), &Silent).unwrap();
        let own = TrainedModel::open(&run).unwrap();
        let files = own.write_hugging_face(&out, 12).unwrap();
        assert!(files.iter().all(|file| file.exists()), "{files:?}");
        assert!(TrainedModel::is_hugging_face(&out) && !TrainedModel::is_hugging_face(&run));
        let back = TrainedModel::open(&out).unwrap();
        assert_eq!(back.digest(), own.digest());
        assert_eq!(back.config(), &spec.model);
        assert_eq!(own.corpus(), Some(corpus.fingerprint()));
        assert_eq!(back.corpus(), None);
        let logits = |model: &TrainedModel| {
            let mut trainer = model.trainer(&cpu()).unwrap();
            trainer.logits(&[1, 7, 3, 12]).unwrap()
        };
        assert_eq!(logits(&back), logits(&own));
    }
}

#[test]
fn the_configuration_is_that_of_transformers() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path());
    let text = std::fs::read_to_string(dir.path().join("config.json")).unwrap();
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        found,
        json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama",
            "vocab_size": 13, "num_hidden_layers": 2, "hidden_size": 16,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4,
            "intermediate_size": 24, "max_position_embeddings": 6,
            "rope_theta": 100.0, "rope_scaling": null, "rms_norm_eps": 1e-5,
            "tie_word_embeddings": false, "hidden_act": "silu",
            "attention_bias": false, "attention_dropout": 0.0, "mlp_bias": false,
            "bos_token_id": 12, "eos_token_id": 12, "torch_dtype": "float32", "use_cache": true,
        })
    );
    let tensors = std::fs::read(dir.path().join(WEIGHTS)).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&tensors).unwrap();
    let layout = header.metadata().as_ref().unwrap().get("format");
    assert_eq!(layout.map(String::as_str), Some("pt"));
    assert_eq!(
        header
            .info("model.layers.1.mlp.down_proj.weight")
            .unwrap()
            .shape,
        [16, 24]
    );
}

#[test]
fn half_precision_and_several_files_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let (config, values) = written(dir.path());
    let list = parameters::list(&config);
    let whole = std::fs::read(dir.path().join(WEIGHTS)).unwrap();
    let whole = safetensors::SafeTensors::deserialize(&whole).unwrap();
    let numbers = |name: &str| -> Vec<f32> {
        let data = whole.tensor(name).unwrap().data();
        data.chunks(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    };
    std::fs::remove_file(dir.path().join(WEIGHTS)).unwrap();
    let to_bf16 = |x: f32| half::bf16::from_f32(x).to_le_bytes();
    let to_f16 = |x: f32| half::f16::from_f32(x).to_le_bytes();
    let mut map = HashMap::new();
    for (part, dtype) in [(0, Dtype::BF16), (1, Dtype::F16)] {
        let of_part = list.iter().enumerate().filter(|(i, _)| i % 2 == part);
        let tensors: Vec<_> = of_part
            .map(|(_, p)| {
                let encode = |x: f32| match dtype {
                    Dtype::BF16 => to_bf16(x),
                    _ => to_f16(x),
                };
                let bytes = numbers(&p.name).into_iter().flat_map(encode).collect();
                let shape = whole.tensor(&p.name).unwrap().shape().to_vec();
                (p.name.as_str(), shape, bytes)
            })
            .collect();
        let file = format!("model-0000{}-of-00002.safetensors", part + 1);
        store(&dir.path().join(&file), dtype, &tensors);
        map.extend(
            tensors
                .iter()
                .map(|(name, ..)| ((*name).to_owned(), file.clone())),
        );
    }
    let index = json!({"metadata": {"total_size": 1}, "weight_map": map});
    let path = dir.path().join("model.safetensors.index.json");
    std::fs::write(&path, index.to_string()).unwrap();
    let (_, found) = read(dir.path()).unwrap();
    for (i, (found, exact)) in found.iter().zip(&values).enumerate() {
        for (found, exact) in found.iter().zip(exact) {
            let rounded = match i % 2 {
                0 => half::bf16::from_f32(*exact).to_f32(),
                _ => half::f16::from_f32(*exact).to_f32(),
            };
            assert_eq!(*found, rounded, "{}", list[i].name);
        }
    }
    // A name that leads out of the folder.
    std::fs::write(&path, r#"{"weight_map": {"a": "../model.safetensors"}}"#).unwrap();
    let err = read(dir.path()).unwrap_err();
    assert_eq!(err.path(), Some(&*path));
    assert_eq!(
        err.problem(),
        "`../model.safetensors`: expected the name of a file in this folder"
    );
}

#[test]
fn positions_and_sizes_are_read_as_transformers_writes_them() {
    let dir = tempfile::tempdir().unwrap();
    let (config, _) = written(dir.path());
    // As version 5 writes them, and what old ones left to defaults.
    edit(dir.path(), |json| {
        let map = json.as_object_mut().unwrap();
        for name in [
            "rope_theta",
            "rope_scaling",
            "head_dim",
            "tie_word_embeddings",
        ] {
            map.remove(name);
        }
        map.insert(
            "rope_parameters".into(),
            json!({"rope_type": "default", "rope_theta": 100.0}),
        );
    });
    assert_eq!(read(dir.path()).unwrap().0, config);
    edit(dir.path(), |json| {
        let map = json.as_object_mut().unwrap();
        for name in ["rope_parameters", "rms_norm_eps", "max_position_embeddings"] {
            map.remove(name);
        }
    });
    let found = read(dir.path()).unwrap().0;
    assert_eq!(
        (found.rope_base, found.norm_eps, found.context),
        (10_000.0, 1e-6, 2048)
    );
}

#[test]
fn what_this_crate_does_not_compute_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        (
            "model_type",
            json!("mistral"),
            "\"mistral\": expected \"llama\"",
        ),
        ("model_type", Value::Null, "missing: expected \"llama\""),
        (
            "architectures",
            json!(["LlamaForSequenceClassification"]),
            "[\"LlamaForSequenceClassification\"]: expected [\"LlamaForCausalLM\"]",
        ),
        ("hidden_act", json!("gelu"), "\"gelu\": expected \"silu\""),
        ("attention_bias", json!(true), "true: expected false"),
        ("mlp_bias", json!(true), "true: expected false"),
        ("sliding_window", json!(4096), "4096: expected none"),
        (
            "quantization_config",
            json!({"bits": 4}),
            "{\"bits\":4}: expected none",
        ),
        ("partial_rotary_factor", json!(0.5), "0.5: expected 1"),
        (
            "rope_scaling",
            json!({"rope_type": "llama3", "factor": 8.0}),
            "{\"factor\":8.0,\"rope_type\":\"llama3\"}: expected positions that are not scaled, \
             {\"rope_type\": \"default\"}",
        ),
        (
            "rope_parameters",
            json!("yarn"),
            "\"yarn\": expected positions that are not scaled, {\"rope_type\": \"default\"}",
        ),
        (
            "head_dim",
            json!(8),
            "8: expected 4, hidden_size by num_attention_heads",
        ),
        ("hidden_size", json!(-16), "-16: expected a whole number"),
        (
            "num_hidden_layers",
            Value::Null,
            "missing: expected a whole number",
        ),
        (
            "vocab_size",
            json!(1u64 << 40),
            "1099511627776: expected 1 to 16777216",
        ),
        (
            "num_attention_heads",
            json!(3),
            "3 heads do not divide d_model 16 into even head dimensions",
        ),
        (
            "rms_norm_eps",
            json!("small"),
            "\"small\": expected a number",
        ),
        ("tie_word_embeddings", json!(1), "1: expected true or false"),
    ];
    for (field, value, problem) in cases {
        written(dir.path());
        edit(dir.path(), |json| json[field] = value);
        let err = read(dir.path()).unwrap_err();
        assert_eq!((err.field_name(), err.problem()), (Some(field), problem));
        assert_eq!(err.path(), Some(&*dir.path().join("config.json")), "{err}");
    }
}

/// The error about the weights after `change`.
fn after(change: impl FnOnce(&Path)) -> Error {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path());
    change(dir.path());
    let err = read(dir.path()).unwrap_err();
    let file = err.path().and_then(Path::file_name).unwrap();
    assert_eq!(file, WEIGHTS, "{err}");
    err
}

#[test]
fn weights_from_elsewhere_are_checked_before_memory_is_taken() {
    let bytes = |folder: &Path| std::fs::read(folder.join(WEIGHTS)).unwrap();
    let put = |folder: &Path, bytes: &[u8]| std::fs::write(folder.join(WEIGHTS), bytes).unwrap();
    let missing = after(|f| std::fs::remove_file(f.join(WEIGHTS)).unwrap());
    assert_eq!(missing.problem(), "no weights: expected this file");
    let short = after(|f| put(f, b"abc"));
    assert_eq!(short.problem(), "not a safetensors file: 3 bytes");
    // Headers of 2^63 and of a gigabyte, in small files.
    for size in [1u64 << 63, 1 << 30] {
        let claim = after(|f| put(f, &[&size.to_le_bytes()[..], b"{}"].concat()));
        let problem = format!("not a safetensors file: a header of {size} bytes in a file of 10");
        assert_eq!(claim.problem(), problem);
    }
    let cut = after(|f| put(f, &bytes(f)[..bytes(f).len() - 5]));
    assert!(cut.problem().ends_with("as the header says"), "{cut}");
    // A tensor that claims more than there is.
    let header =
        br#"{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}"#;
    let claim = after(|f| {
        put(
            f,
            &[&(header.len() as u64).to_le_bytes()[..], header].concat(),
        );
    });
    assert_eq!(
        claim.problem(),
        "0 bytes of tensors: expected 4398046511104, as the header says"
    );
    let layers = after(|f| edit(f, |json| json["num_hidden_layers"] = json!(1 << 24)));
    assert_eq!(
        layers.problem(),
        "21 tensors: expected those of 16777216 layers, as `config.json` says"
    );
    let wider = after(|f| edit(f, |json| json["vocab_size"] = json!(14)));
    assert_eq!(
        wider.problem(),
        "tensor `model.embed_tokens.weight` is [13, 16]: expected [14, 16], as `config.json` says"
    );
    let fewer = after(|f| edit(f, |json| json["num_hidden_layers"] = json!(1)));
    assert_eq!(
        fewer.problem(),
        "tensor `model.layers.1.input_layernorm.weight`: no part of the model that `config.json` \
         describes"
    );
    // Tied, the output layer is in the file once more.
    let dir = tempfile::tempdir().unwrap();
    written(dir.path());
    edit(dir.path(), |json| json["tie_word_embeddings"] = json!(true));
    assert!(read(dir.path()).unwrap().0.tied);
}

#[test]
fn tensors_of_other_types_and_numbers_that_are_none_are_refused() {
    let one = |folder: &Path, dtype, size: usize, fill: u8| {
        let list = parameters::list(&tiny());
        let tensors: Vec<_> = (list.iter())
            .map(|p| {
                let bytes = vec![fill; size * p.count()];
                (p.name.as_str(), p.stored_shape(), bytes)
            })
            .collect();
        store(&folder.join(WEIGHTS), dtype, &tensors);
    };
    let double = after(|f| one(f, Dtype::F64, 8, 0));
    assert_eq!(
        double.problem(),
        "tensor `model.embed_tokens.weight` is F64: expected F32, BF16 or F16"
    );
    let nan = after(|f| one(f, Dtype::F16, 2, 0xff));
    assert_eq!(
        nan.problem(),
        "tensor `model.embed_tokens.weight` holds NaN at 0: expected finite numbers"
    );
}
