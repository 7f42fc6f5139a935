//! How a file holds documents, by its name.

use std::path::Path;

/// How a file holds documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileType {
    Lines,
    Parquet,
    Text,
}

/// What a file's name says about its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// Documents. The stem is the name without endings.
    Documents { stem: &'a str, file_type: FileType },
    /// A file that comes with a corpus, such as a README.
    SideFile,
    /// Compressed in a way that cannot be read.
    Compressed(&'static str),
    /// Something else.
    Unknown,
}

impl FileType {
    pub(super) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        Self::split_name(name).map(|(_, this)| this)
    }

    /// A file name without its suffixes, and the type that they mean, in upper
    /// or lower case.
    pub(super) fn split_name(name: &str) -> Option<(&str, Self)> {
        let bare = [".zst", ".zstd", ".gz"]
            .iter()
            .find_map(|suffix| strip_suffix(name, suffix))
            .unwrap_or(name);
        let (stem, extension) = bare.rsplit_once('.')?;
        let this = match &*extension.to_ascii_lowercase() {
            "jsonl" | "ndjson" | "json" => Self::Lines,
            "parquet" => Self::Parquet,
            "txt" => Self::Text,
            _ => return None,
        };
        Some((stem, this))
    }
}

impl<'a> Content<'a> {
    pub(super) fn of(name: &'a str) -> Self {
        if is_side_file(name) {
            return Self::SideFile;
        }
        if let Some((stem, file_type)) = FileType::split_name(name) {
            return Self::Documents { stem, file_type };
        }
        const UNREADABLE: [(&str, &str); 8] = [
            (".xz", "xz"),
            (".bz2", "bzip2"),
            (".lz4", "lz4"),
            (".br", "brotli"),
            (".zip", "zip"),
            (".7z", "7-zip"),
            (".tar", "tar"),
            (".tgz", "tar"),
        ];
        let of_archive = ["tar.gz", "tar.zst"]
            .iter()
            .any(|ending| strip_suffix(name, ending).is_some());
        let compression = UNREADABLE
            .iter()
            .find(|(ending, _)| strip_suffix(name, ending).is_some());
        match compression {
            _ if of_archive => Self::Compressed("tar"),
            Some((_, compression)) => Self::Compressed(compression),
            None => Self::Unknown,
        }
    }
}

/// Files that data-set repositories and their tools put beside the documents.
fn is_side_file(name: &str) -> bool {
    const STEMS: [&str; 23] = [
        "readme",
        "license",
        "licence",
        "copying",
        "notice",
        "notices",
        "changelog",
        "citation",
        "authors",
        "contributing",
        "datasheet",
        "dataset_card",
        "urls",
        "filelist",
        "file_list",
        "checksums",
        "checksum",
        "md5sums",
        "md5sum",
        "sha1sums",
        "sha256sums",
        "sha256sum",
        "sha512sums",
    ];
    const NAMES: [&str; 14] = [
        "dataset_info.json",
        "dataset_infos.json",
        "dataset_dict.json",
        "state.json",
        "stats.json",
        "metadata.json",
        "manifest.json",
        "index.json",
        "config.json",
        "croissant.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "requirements.txt",
    ];
    let name = name.to_ascii_lowercase();
    let stem = name.split('.').next().unwrap_or(&name);
    // A domain may be called `notice`; its JSON lines are documents.
    let prose = !name.contains(".jsonl") && !name.contains(".ndjson") && !name.contains(".parquet");
    NAMES.contains(&&*name) || (prose && STEMS.contains(&stem))
}

/// As [`str::strip_suffix`], for ASCII endings in upper or lower case.
fn strip_suffix<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(suffix.len())?;
    let (stem, end) = (name.get(..at)?, name.get(at..)?);
    end.eq_ignore_ascii_case(suffix).then_some(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_known_in_any_case_and_side_files_by_name() {
        for (name, stem) in [
            ("web.JSONL", "web"),
            ("a.b.Json.GZ", "a.b"),
            ("notice.jsonl", "notice"),
            ("web.txt.zst", "web"),
        ] {
            let Content::Documents { stem: found, .. } = Content::of(name) else {
                panic!("{name} is not read");
            };
            assert_eq!(found, stem);
        }
        for name in [
            "README.txt",
            "LICENSE",
            "Licence.en.txt",
            "dataset_info.json",
            "SHA256SUMS",
            "sha256sums.txt",
            "urls.txt",
            "MD5SUMS.txt.gz",
        ] {
            assert_eq!(Content::of(name), Content::SideFile, "{name}");
        }
        assert_eq!(Content::of("web-1.jsonl.xz"), Content::Compressed("xz"));
        assert_eq!(Content::of("web.tar.gz"), Content::Compressed("tar"));
        assert_eq!(Content::of("web.doc"), Content::Unknown);
        assert_eq!(Content::of("web"), Content::Unknown);
    }
}
