use proptest::prelude::*;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use super::split::Words;
use super::*;

const TEXT: &str = "It's the end: we'll see 12 x² \u{a0}\u{2003} 3½ naïve façades,\n\n\tdon't they'd  \
                    say — “quotes” & 東京 tower's   \r\n end ?!'s  ";

/// The words that the tokenizer library's regular expression finds.
fn reference(text: &str) -> Vec<String> {
    let mut pre = PreTokenizedString::from(text);
    ByteLevel::new(false, false, true)
        .pre_tokenize(&mut pre)
        .unwrap();
    pre.get_splits(OffsetReferential::Original, OffsetType::Byte)
        .into_iter()
        .map(|(_, (from, to), _)| text[from..to].to_owned())
        .collect()
}

fn samples() -> Vec<String> {
    (0..200)
        .map(|i| format!("{TEXT} sentence number {i} of the sample, and {}", i * 7919))
        .collect()
}

fn bpe() -> Tokenizer {
    Tokenizer::train_bpe(&samples(), &BpeOptions::new(400)).unwrap()
}

/// As [`Tokenizer::encode`] without its shortcut.
fn slow(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer
        .inner
        .encode_fast(text, false)
        .unwrap()
        .get_ids()
        .to_vec()
}

#[test]
fn byte_names_are_those_of_the_library() {
    let mut ours = split::BYTE_CHARS.to_vec();
    ours.sort_unstable();
    let mut theirs: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    theirs.sort_unstable();
    assert_eq!(ours, theirs);
    assert_eq!(
        (split::BYTE_CHARS[b' ' as usize], split::BYTE_CHARS[0xad]),
        ('Ġ', 'Ń')
    );
}

#[test]
fn words_are_those_of_the_regular_expression() {
    let words: Vec<&str> = Words::new(TEXT).collect();
    assert_eq!(words, reference(TEXT));
    for text in [
        "", " ", "  ", "a", " a", "  a", "'s", "'S", " 's", "''s", "\n\n a", "a \n", "½'ll",
        "'re're",
    ] {
        assert_eq!(
            Words::new(text).collect::<Vec<_>>(),
            reference(text),
            "{text:?}"
        );
    }
}

#[test]
fn training_is_deterministic() {
    let tokenizer = bpe();
    assert_eq!(tokenizer.to_json(), bpe().to_json());
    assert_eq!(tokenizer.vocab_size(), 400);
    assert_eq!(tokenizer.entry().kind, "bpe");
    let text = "the end of the sample";
    assert!(tokenizer.encode(text).unwrap().len() < text.len() / 2);
    assert_eq!(
        tokenizer.decode(&tokenizer.encode(TEXT).unwrap()).unwrap(),
        TEXT
    );
}

#[test]
fn a_saved_tokenizer_is_the_same_when_read() {
    let dir = tempfile::tempdir().unwrap();
    for tokenizer in [bpe(), Tokenizer::bytes().unwrap()] {
        let path = dir.path().join("tokenizer.json");
        tokenizer.save(&path).unwrap();
        let read = Tokenizer::from_file(&path, SEPARATOR).unwrap();
        assert_eq!(read.hash(), tokenizer.hash());
        assert_eq!(read.vocab_size(), tokenizer.vocab_size());
        assert_eq!(read.separator(), tokenizer.separator());
        assert_eq!(read.encode(TEXT).unwrap(), tokenizer.encode(TEXT).unwrap());
        assert!(read.fast.is_some());
    }
}

#[test]
fn a_separator_in_a_text_is_encoded_as_text() {
    let text = "one<|endoftext|>two";
    for tokenizer in [bpe(), Tokenizer::bytes().unwrap()] {
        let tokens = tokenizer.encode(text).unwrap();
        assert!(!tokens.contains(&tokenizer.separator()));
        assert_eq!(tokens, slow(&tokenizer, text));
        assert_eq!(tokenizer.decode(&tokens).unwrap(), text);
    }
}

#[test]
fn unusable_tokenizers_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokenizer.json");
    for text in ["", "{}", "[1, 2]", "\u{0}"] {
        std::fs::write(&path, text).unwrap();
        let err = Tokenizer::from_file(&path, SEPARATOR).unwrap_err();
        assert!(err.problem().contains("not a tokenizer"), "{err}");
    }
    bpe().save(&path).unwrap();
    let err = Tokenizer::from_file(&path, "</s>").unwrap_err();
    assert!(err.problem().contains("no token `</s>`"), "{err}");
    assert!(err.help_text().unwrap().contains("`separator`"));
    let err = Tokenizer::train_bpe(&samples(), &BpeOptions::new(256)).unwrap_err();
    assert_eq!(err.field_name(), Some("vocab_size"));
    let err = Tokenizer::train_bpe(&[], &BpeOptions::new(300)).unwrap_err();
    assert_eq!(err.problem(), "no text to train a tokenizer on");
}

#[test]
fn other_pipelines_have_no_fast_encoder() {
    // Tokens that are looked for in text, and a normaliser.
    for (from, to) in [
        ("\"special\":true", "\"special\":false"),
        ("\"normalizer\":null", "\"normalizer\":{\"type\":\"NFC\"}"),
        ("\"add_prefix_space\":false", "\"add_prefix_space\":true"),
    ] {
        let json = bpe().to_json().to_owned();
        assert!(json.contains(from), "{from}");
        let inner = Inner::from_bytes(json.replacen(from, to, 1)).unwrap();
        let tokenizer = Tokenizer::wrap("file", inner, SEPARATOR).unwrap();
        assert!(tokenizer.fast.is_none(), "{to}");
        assert_eq!(tokenizer.encode(TEXT).unwrap(), slow(&tokenizer, TEXT));
    }
}

proptest! {
    #[test]
    fn the_fast_encoder_has_the_same_result(
        text in prop_oneof![
            "\\PC{0,60}",
            "[ '\\n\\tsrevlmdtL0-9a-zé²½\u{a0}\u{3000}\u{300}\u{e000}.,!-]{0,80}",
            prop::collection::vec(any::<char>(), 0..40).prop_map(String::from_iter),
        ]
    ) {
        prop_assert_eq!(Words::new(&text).collect::<Vec<_>>(), reference(&text));
        thread_local!(static BPE: Tokenizer = bpe());
        BPE.with(|bpe| {
            let tokens = bpe.encode(&text).unwrap();
            prop_assert_eq!(&tokens, &slow(bpe, &text));
            prop_assert_eq!(bpe.decode(&tokens).unwrap(), text);
            Ok(())
        })?;
    }
}

/// A small model of whole words, with `extra` among the parts of the file.
fn words(extra: &str, vocab: &str) -> String {
    format!(
        r#"{{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
            "normalizer": null, "pre_tokenizer": {{"type": "WhitespaceSplit"}},
            "post_processor": null, "decoder": null, {extra}
            "model": {{"type": "WordLevel", "vocab": {vocab}, "unk_token": "<unk>"}}}}"#
    )
}

fn read(json: &str, separator: &str) -> Result<Tokenizer> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokenizer.json");
    std::fs::write(&path, json).unwrap();
    Tokenizer::from_file(&path, separator)
}

#[test]
fn a_separator_among_the_pieces_of_a_model_is_made_of_no_text() {
    let vocab = r#"{"<unk>": 0, "</s>": 1, "a": 2, "b": 3}"#;
    let unigram = r#"{"version": "1.0", "added_tokens": [
        {"id": 1, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false,
         "normalized": false, "special": true}],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "truncation": null, "padding": null,
        "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": false, "vocab":
            [["<unk>", 0.0], ["</s>", 0.0], ["a", -1.0], ["b", -1.0], ["<", -3.0], ["/", -3.0],
             ["s", -3.0], [">", -3.0], [" ", -1.0]]}}"#;
    let found_in_text = unigram.replace("\"special\": true", "\"special\": false");
    for json in [words("", vocab), unigram.to_owned(), found_in_text] {
        let tokenizer = read(&json, "</s>").unwrap();
        assert_eq!(tokenizer.separator(), 1);
        let tokens = tokenizer.encode_document("a </s> b").unwrap();
        assert_eq!(tokens.iter().filter(|&&t| t == 1).count(), 1, "{tokens:?}");
        assert_eq!(tokens.last(), Some(&1));
        let plain = slow(&tokenizer, "a b");
        assert_eq!(tokenizer.encode("a b").unwrap(), plain);
    }
}

#[test]
fn what_depends_on_chance_is_switched_off() {
    let json = bpe().to_json().to_owned();
    assert!(json.contains("\"dropout\":null"));
    let chancy = json.replacen("\"dropout\":null", "\"dropout\":0.5", 1);
    let tokenizer = read(&chancy, SEPARATOR).unwrap();
    assert!(tokenizer.notes()[0].contains("`dropout` = 0.5"));
    assert_eq!(tokenizer.encode(TEXT).unwrap(), bpe().encode(TEXT).unwrap());
    assert!(read(&json, SEPARATOR).unwrap().notes().is_empty());
}

#[test]
fn sizes_of_a_vocabulary_are_checked_before_tables_are_made() {
    for (vocab, expected) in [
        ("{}", "the vocabulary is empty"),
        (
            r#"{"<unk>": 0, "</s>": 2147483648}"#,
            "token identifier 2147483648",
        ),
        (
            r#"{"<unk>": 0, "</s>": 1000000}"#,
            "token identifier 1000000",
        ),
    ] {
        let err = read(&words("", vocab), "</s>").unwrap_err();
        assert!(err.problem().contains(expected), "{err}");
        assert!(err.path().is_some() && err.help_text().is_some());
    }
    let err = Tokenizer::train_bpe(&samples(), &BpeOptions::new(999_999_999)).unwrap_err();
    assert_eq!(err.field_name(), Some("vocab_size"));
    // More than the sample can fill asks for no more memory than the sample.
    let large = Tokenizer::train_bpe(&samples(), &BpeOptions::new(16_000_000)).unwrap();
    assert!(large.vocab_size() < 10_000);
}

#[test]
fn panics_of_the_library_are_errors_that_name_the_file() {
    let vocab = r#"{"<unk>": 0, "</s>": 1, "a": 2}"#;
    let nothing = r#"{"type": "Replace", "pattern": {"String": ""}, "content": "x"}"#;
    let json = words("", vocab).replacen(
        "\"normalizer\": null",
        &format!("\"normalizer\": {nothing}"),
        1,
    );
    // Whether reading or encoding fails, or the text is encoded, nothing panics.
    match read(&json, "</s>") {
        Ok(tokenizer) => drop(tokenizer.encode_document("a b")),
        Err(e) => assert!(e.path().is_some(), "{e}"),
    }
    for decoder in [
        r#"{"type": "Replace", "pattern": {"Regex": "("}, "content": "x"}"#,
        r#"{"type": "Sequence"}"#,
        r#"{"type": "Metaspace", "replacement": "", "prepend_scheme": "never", "split": true}"#,
    ] {
        let json =
            words("", vocab).replacen("\"decoder\": null", &format!("\"decoder\": {decoder}"), 1);
        if let Err(e) = read(&json, "</s>") {
            assert!(e.path().is_some() && e.is_input(), "{e}");
        }
    }
}

#[test]
fn a_text_without_any_token_is_refused() {
    let json = words("", r#"{"<unk>": 0, "</s>": 1, "a": 2}"#);
    let json = json.replacen("\"unk_token\": \"<unk>\"", "\"unk_token\": \"none\"", 1);
    let tokenizer = read(&json, "</s>").unwrap();
    assert_eq!(tokenizer.encode_document("a").unwrap(), [2, 1]);
    assert_eq!(tokenizer.encode_document(" \n").unwrap(), [1]);
    assert!(tokenizer.encode_document("中").is_err());
}

#[test]
fn a_long_document_can_be_stopped() {
    let stop = std::sync::atomic::AtomicBool::new(true);
    let error = bpe().encode_document_counted(TEXT, &stop).unwrap_err();
    assert!(error.is_interrupted());
    stop.store(false, std::sync::atomic::Ordering::Relaxed);
    let (tokens, lost) = bpe().encode_document_counted(TEXT, &stop).unwrap();
    assert_eq!((tokens, lost), (bpe().encode_document(TEXT).unwrap(), 0));
}

/// A tokenizer of the characters `a` to `d` and the bytes from `fallback`.
fn of_characters(more: &str, fallback: &[u8]) -> Tokenizer {
    let mut vocab: Vec<String> = ["<|endoftext|>", "[UNK]", "a", "b", "c", "d", "ab"]
        .map(str::to_owned)
        .to_vec();
    vocab.extend(fallback.iter().map(|byte| format!("<0x{byte:02X}>")));
    let vocab: serde_json::Map<String, serde_json::Value> = (vocab.into_iter().enumerate())
        .map(|(id, name)| (name, id.into()))
        .collect();
    let json = format!(
        r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],
        "normalizer":null,"pre_tokenizer":{{"type":"Whitespace"}},"post_processor":null,
        "decoder":null,"model":{{"type":"BPE","dropout":null,
        "continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":false,
        "ignore_merges":false,{more},"vocab":{},"merges":[["a","b"]]}}}}"#,
        serde_json::Value::Object(vocab)
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokenizer.json");
    std::fs::write(&path, json).unwrap();
    Tokenizer::from_file(path, SEPARATOR).unwrap()
}

#[test]
fn bytes_without_a_token_are_counted() {
    let every_byte: Vec<u8> = (0..=255).collect();
    let dropping = r#""unk_token":null,"byte_fallback":false"#;
    let unknown = r#""unk_token":"[UNK]","byte_fallback":false"#;
    let falling_back = r#""unk_token":null,"byte_fallback":true"#;
    for (tokenizer, text, lost) in [
        (of_characters(dropping, &[]), "abc  d\n ab", 0),
        (of_characters(dropping, &[]), "abx xd 東 cd", 1 + 1 + 3),
        (of_characters(unknown, &[]), "abx xd 東 cd", 1 + 1 + 3),
        (of_characters(falling_back, &[]), "abx", 1),
        (of_characters(falling_back, &every_byte), "abx xd 東 cd", 0),
    ] {
        let (_, found) = tokenizer.encode_document_counted(text, &Silent).unwrap();
        assert_eq!(found, lost, "{text} {}", tokenizer.to_json());
    }
    assert!(bpe().lost.is_none() && Tokenizer::bytes().unwrap().lost.is_none());
}
