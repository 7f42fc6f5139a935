//! Export of trained models in Hugging Face's layout, and import from there.

use std::path::{Path, PathBuf};

use regmix_data::manifest::{MANIFEST_FILE, Manifest, TOKENIZER_FILE};
use regmix_data::tokenizer::{SEPARATOR, Tokenizer};
use regmix_data::{Error, Result, TokenCorpus, artefact};
use regmix_model::{TrainedModel, stored_spec};
use serde::Serialize;
use serde_json::Value;

use crate::files;
use crate::tables::refuse_to_overwrite;

const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const SPECIAL_TOKENS: &str = "special_tokens_map.json";

/// The file of a model in Hugging Face's layout that is written last.
const MODEL_CONFIG: &str = "config.json";

/// A tokenizer that the caller names, where it does not lie beside the run.
#[derive(Debug, Clone)]
pub struct GivenTokenizer {
    /// Its `tokenizer.json`.
    pub path: PathBuf,
    /// The token that ends documents.
    pub separator: String,
}

/// What [`export`] wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportedModel {
    /// The files.
    pub files: Vec<PathBuf>,
    /// Parameters of the model.
    pub parameters: usize,
    /// What the reader should know.
    pub notes: Vec<String>,
}

/// Writes the model of a finished run into the folder `out` in Hugging Face's layout, as
/// a `LlamaForCausalLM` with its tokenizer: `AutoModelForCausalLM` and `AutoTokenizer`
/// read it. The tokenizer is that of the study that the run lies in, unless one is given.
///
/// # Errors
/// When the run is not finished or kept no weights, its tokenizer is not found or does
/// not fit it, or there is a model in `out` already and `redo` is not set.
pub fn export(
    run: &Path,
    tokenizer: Option<&GivenTokenizer>,
    out: &Path,
    redo: bool,
) -> Result<ExportedModel> {
    refuse_to_overwrite(&out.join(MODEL_CONFIG), redo)?;
    let model = TrainedModel::of_run(run)?;
    let mut notes = Vec::new();
    let tokenizer = match tokenizer {
        Some(given) => {
            let tokenizer = Tokenizer::from_file(&given.path, &given.separator)?;
            notes.push(
                "whether the run was trained with this tokenizer cannot be checked".to_owned(),
            );
            tokenizer
        }
        None => tokenizer_of_run(run, &model)?,
    };
    check_vocabulary(&tokenizer, model.config().vocab_size).map_err(|e| e.in_file_if_none(run))?;
    let mut files = write_tokenizer(&tokenizer, model.config().context, out, &mut notes)?;
    files.extend(model.write_hugging_face(out, tokenizer.separator())?);
    files.sort();
    Ok(ExportedModel {
        files,
        parameters: model.config().parameters().total(),
        notes,
    })
}

/// Checks that the model in a folder has the tokenizer of a corpus, as far as it can be
/// known: whether it could be checked.
///
/// # Errors
/// When it has another; the error's field is `from` then. When a file is damaged, or a
/// folder in Hugging Face's layout has a tokenizer that does not fit its model.
pub(crate) fn check_tokenizer(folder: &Path, corpus: &TokenCorpus) -> Result<bool> {
    if TrainedModel::is_hugging_face(folder) && stored_spec(folder)?.is_none() {
        return check_hugging_face(folder, corpus);
    }
    let Some(other) = corpus_of_run(folder) else {
        return Ok(false);
    };
    if Manifest::load(&other)?.tokenizer.hash == corpus.manifest().tokenizer.hash {
        return Ok(true);
    }
    Err(another(&other.join(TOKENIZER_FILE), ""))
}

fn check_hugging_face(folder: &Path, corpus: &TokenCorpus) -> Result<bool> {
    let path = folder.join(TOKENIZER_FILE);
    if !path.exists() {
        return Ok(false);
    }
    let own = Tokenizer::of_corpus(corpus.folder())?;
    let other = match Tokenizer::from_file(&path, own.separator_text()) {
        Ok(other) => other,
        Err(e) if e.field_name() == Some("separator") => {
            let missing = format!(": it has no token `{}`", own.separator_text());
            return Err(another(&path, &missing));
        }
        Err(e) => return Err(e),
    };
    if own.hash() == other.hash() {
        return Ok(true);
    }
    match differing_part(&own, &other) {
        None => Ok(true),
        Some(part) => Err(another(&path, &format!(" (`{part}` differs)"))),
    }
}

/// The first part of two tokenizers that can make other tokens of a text. How special
/// tokens are added is none: text is tokenized without them.
fn differing_part(a: &Tokenizer, b: &Tokenizer) -> Option<&'static str> {
    let [a, b] = [a, b].map(|t| serde_json::from_str::<Value>(t.to_json()).unwrap_or_default());
    ["model", "added_tokens", "normalizer", "pre_tokenizer"]
        .into_iter()
        .find(|part| a.get(part) != b.get(part))
}

fn another(tokenizer: &Path, how: &str) -> Error {
    Error::input(format!(
        "the model was trained on tokens of another tokenizer{how}: expected that of this study"
    ))
    .field("from")
    .help(format!(
        "set kind = \"file\" and path = \"{}\" in [tokenizer], then: regmix tokenize --redo",
        tokenizer.display()
    ))
}

/// The tokenizer that a run was trained with.
pub(crate) fn tokenizer_of_run(run: &Path, model: &TrainedModel) -> Result<Tokenizer> {
    let give = "give the tokenizer with `--tokenizer`";
    let Some(corpus) = corpus_of_run(run) else {
        return Err(
            Error::input("the run lies in no study: its tokenizer is not known")
                .in_file(run)
                .help(give),
        );
    };
    if Some(&*Manifest::load(&corpus)?.fingerprint()) != model.corpus() {
        return Err(Error::input(
            "the text was tokenized again since the run was trained: its tokenizer may be another",
        )
        .in_file(corpus)
        .help(give));
    }
    Tokenizer::of_corpus(corpus)
}

/// The tokenizer of a model in Hugging Face's layout; its end of texts separates documents.
pub(crate) fn tokenizer_of_hugging_face(folder: &Path) -> Result<Tokenizer> {
    let path = folder.join(TOKENIZER_CONFIG);
    let config: Value = match path.exists() {
        true => artefact::read_json(&path)?,
        false => Value::Null,
    };
    // A text, or an object of the tokenizers library.
    let end = config
        .get("eos_token")
        .map(|end| end.get("content").unwrap_or(end));
    let end = end.and_then(Value::as_str).unwrap_or(SEPARATOR);
    Tokenizer::from_file(folder.join(TOKENIZER_FILE), end)
}

/// The tokenized corpus of the study that a run lies in. A run of a study lies two
/// folders deep in it, a run of another size three.
pub(crate) fn corpus_of_run(run: &Path) -> Option<PathBuf> {
    // A path may be shorter than that, as seen from inside the study.
    let whole = std::fs::canonicalize(run).unwrap_or_default();
    let roots = [run, &whole].map(|path| path.ancestors().skip(2).take(2));
    let mut corpora = (roots.into_iter().flatten()).map(|root| root.join(files::CORPUS_FOLDER));
    corpora.find(|corpus| corpus.join(MANIFEST_FILE).exists())
}

/// Checks that a model knows all tokens of a tokenizer.
pub(crate) fn check_vocabulary(tokenizer: &Tokenizer, model: usize) -> Result<()> {
    match tokenizer.vocab_size() as usize <= model {
        true => Ok(()),
        false => Err(Error::input(format!(
            "the tokenizer knows {} tokens, the model {model}: they do not belong together",
            tokenizer.vocab_size()
        ))
        .help("give the tokenizer that the model was trained with")),
    }
}

/// Writes what `AutoTokenizer` reads.
fn write_tokenizer(
    tokenizer: &Tokenizer,
    context: usize,
    out: &Path,
    notes: &mut Vec<String>,
) -> Result<Vec<PathBuf>> {
    /// Text is begun and ended by the token between documents, as in training.
    #[derive(Serialize)]
    struct SpecialTokens<'a> {
        bos_token: &'a str,
        eos_token: &'a str,
    }
    #[derive(Serialize)]
    struct TokenizerConfig<'a> {
        tokenizer_class: &'static str,
        #[serde(flatten)]
        special: SpecialTokens<'a>,
        model_max_length: usize,
        clean_up_tokenization_spaces: bool,
    }
    let special = || SpecialTokens {
        bos_token: tokenizer.separator_text(),
        eos_token: tokenizer.separator_text(),
    };
    let [json, config, map] =
        [TOKENIZER_FILE, TOKENIZER_CONFIG, SPECIAL_TOKENS].map(|name| out.join(name));
    let text = match without_added(tokenizer.to_json()) {
        None => tokenizer.to_json().to_owned(),
        Some(changed) => {
            notes.push(
                "the tokenizer adds tokens to every text (`post_processor`); the model was \
                 trained without them, and the exported tokenizer adds none"
                    .to_owned(),
            );
            changed
        }
    };
    artefact::write_atomic(&json, text.as_bytes())?;
    artefact::write_json(
        &config,
        &TokenizerConfig {
            tokenizer_class: "PreTrainedTokenizerFast",
            special: special(),
            model_max_length: context,
            clean_up_tokenization_spaces: false,
        },
    )?;
    artefact::write_json(&map, &special())?;
    Ok(vec![json, config, map])
}

/// A tokenizer that adds no special tokens to a text; `None` where it adds none.
fn without_added(json: &str) -> Option<String> {
    let mut json: Value = serde_json::from_str(json).ok()?;
    let part = json.get_mut("post_processor")?;
    // That of byte-level tokenizers changes offsets only.
    let adds = !part.is_null() && part.get("type").and_then(Value::as_str) != Some("ByteLevel");
    if !adds {
        return None;
    }
    *part = Value::Null;
    Some(json.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_adds_tokens_is_left_out() {
        let template = r#"{"post_processor":{"type":"TemplateProcessing"},"model":1}"#;
        assert_eq!(
            without_added(template).as_deref(),
            Some(r#"{"model":1,"post_processor":null}"#)
        );
        for adds_none in [
            r#"{"post_processor":null}"#,
            r#"{"post_processor":{"type":"ByteLevel","trim_offsets":true}}"#,
            "{}",
        ] {
            assert_eq!(without_added(adds_none), None);
        }
    }
}
