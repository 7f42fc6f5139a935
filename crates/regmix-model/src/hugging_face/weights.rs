//! `model.safetensors`, or several such files with `model.safetensors.index.json`.
//!
//! Files may come from untrusted sources. A header is read only within the length
//! of its file, and a tensor only after its shape was compared with that of the
//! model, so that memory is allocated only for existing and needed values.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Component, Path, PathBuf};

use regmix_data::{Error, Result, artefact};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::Deserialize;

use crate::checkpoint;
use crate::config::ModelConfig;
use crate::parameters::{self, Parameter};

pub(super) const FILE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// The longest header, as in the `safetensors` library.
const MAX_HEADER: u64 = 100_000_000;

/// Writes the weights into one file.
pub(super) fn write(folder: &Path, list: &[Parameter], values: &[Vec<f32>]) -> Result<()> {
    let path = folder.join(FILE);
    // Transformers refuses files that do not name a layout.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = safetensors::serialize(checkpoint::weights(list, values), Some(metadata))
        .map_err(|e| Error::failed(e.to_string()).in_file(&path))?;
    artefact::write_atomic(path, &bytes)
}

/// Reads the weights of a model, in this crate's order and layout.
///
/// # Errors
/// When a file is missing or damaged, a tensor is missing or of another shape, or there
/// is one that the model does not have.
pub(super) fn read(folder: &Path, config: &ModelConfig) -> Result<Vec<Vec<f32>>> {
    let mut files = Files::open(folder)?;
    // Before there is a list of so many.
    if config.layers.saturating_mul(parameters::PER_BLOCK) > files.of.len() {
        return Err(Error::input(format!(
            "{} tensors: expected those of {} layers, as `config.json` says",
            files.of.len(),
            config.layers
        ))
        .in_file(&files.open[0].path));
    }
    let list = parameters::list(config);
    let known: BTreeSet<&str> = list.iter().map(|p| p.name.as_str()).collect();
    for (name, file) in &files.of {
        // Old files have the wavelengths of positions, tied models the output layer again.
        let repeats =
            name.ends_with("rotary_emb.inv_freq") || (config.tied && name == parameters::OUTPUT);
        if !known.contains(name.as_str()) && !repeats {
            return Err(Error::input(format!(
                "tensor `{}`: no part of the model that `config.json` describes",
                shown(name)
            ))
            .in_file(&files.open[*file].path));
        }
    }
    (list.iter())
        .map(|parameter| files.read(parameter))
        .collect()
}

/// The files of a model, and where each tensor lies.
struct Files {
    open: Vec<OpenFile>,
    of: BTreeMap<String, usize>,
}

impl Files {
    fn open(folder: &Path) -> Result<Self> {
        let index = folder.join(INDEX);
        let names = match (folder.join(FILE).exists(), index.exists()) {
            (true, _) => vec![FILE.to_owned()],
            (false, true) => parts(&index)?,
            (false, false) => {
                return Err(Error::input("no weights: expected this file")
                    .in_file(folder.join(FILE))
                    .help(
                        "other formats are converted by `save_pretrained` of the transformers \
                         library",
                    ));
            }
        };
        let mut files = Self {
            open: Vec::new(),
            of: BTreeMap::new(),
        };
        for name in names {
            let file = OpenFile::open(folder.join(name))?;
            for tensor in file.metadata.offset_keys() {
                if files.of.contains_key(&tensor) {
                    return Err(Error::input(format!(
                        "tensor `{}` is in two files: expected it once",
                        shown(&tensor)
                    ))
                    .in_file(file.path));
                }
                files.of.insert(tensor, files.open.len());
            }
            files.open.push(file);
        }
        Ok(files)
    }

    fn read(&mut self, parameter: &Parameter) -> Result<Vec<f32>> {
        let file = self.of.get(&parameter.name).copied();
        // A model in one file names it; one in several names the first.
        let file = &mut self.open[file.unwrap_or(0)];
        file.read(parameter)
    }
}

/// The files that an index names, each once.
fn parts(index: &Path) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let Index { weight_map } = artefact::read_json(index)?;
    let names: BTreeSet<String> = weight_map.into_values().collect();
    for name in &names {
        let mut parts = Path::new(name).components();
        if !matches!(
            (parts.next(), parts.next()),
            (Some(Component::Normal(_)), None)
        ) {
            return Err(Error::input(format!(
                "`{}`: expected the name of a file in this folder",
                shown(name)
            ))
            .in_file(index)
            .field("weight_map"));
        }
    }
    if names.is_empty() {
        return Err(Error::input("no files: expected at least one")
            .in_file(index)
            .field("weight_map"));
    }
    Ok(names.into_iter().collect())
}

/// A file whose header was checked.
struct OpenFile {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    /// Where the tensors begin.
    start: u64,
}

impl OpenFile {
    fn open(path: PathBuf) -> Result<Self> {
        let io = |e| Error::io(&path, e);
        let bad = |problem: String| Error::input(problem).in_file(&path);
        let mut file = File::open(&path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let mut size = [0; 8];
        if length < size.len() as u64 {
            return Err(bad(format!("not a safetensors file: {length} bytes")));
        }
        file.read_exact(&mut size).map_err(io)?;
        let size = u64::from_le_bytes(size);
        if size > MAX_HEADER || size > length - 8 {
            return Err(bad(format!(
                "not a safetensors file: a header of {size} bytes in a file of {length}"
            )));
        }
        let mut header = vec![0; size as usize];
        file.read_exact(&mut header).map_err(io)?;
        let metadata: Metadata = serde_json::from_slice(&header)
            .map_err(|e| bad(format!("not a safetensors file: {e}")))?;
        let (start, data) = (8 + size, metadata.data_len() as u64);
        if start.checked_add(data) != Some(length) {
            return Err(bad(format!(
                "{} bytes of tensors: expected {data}, as the header says",
                length - start
            ))
            .help("the file was not copied to its end, or was changed: fetch it again"));
        }
        Ok(Self {
            path,
            file,
            metadata,
            start,
        })
    }

    fn read(&mut self, parameter: &Parameter) -> Result<Vec<f32>> {
        let bad = |problem: String| Error::input(problem).in_file(&self.path);
        let name = &parameter.name;
        let shape = parameter.stored_shape();
        let Some(TensorInfo {
            dtype,
            shape: found,
            data_offsets: (from, to),
        }) = self.metadata.info(name)
        else {
            return Err(bad(format!("tensor `{name}` is missing")));
        };
        if *found != shape {
            return Err(bad(format!(
                "tensor `{name}` is {found:?}: expected {shape:?}, as `config.json` says"
            )));
        }
        let decode: fn(&[u8]) -> Vec<f32> = match dtype {
            Dtype::F32 => |bytes| numbers(bytes, f32::from_le_bytes),
            Dtype::BF16 => |bytes| numbers(bytes, |b| half::bf16::from_le_bytes(b).to_f32()),
            Dtype::F16 => |bytes| numbers(bytes, |b| half::f16::from_le_bytes(b).to_f32()),
            other => {
                return Err(bad(format!(
                    "tensor `{name}` is {other:?}: expected F32, BF16 or F16"
                )));
            }
        };
        // The header's reader compared the offsets with shape and type, and the lengths
        // of all tensors add up to that of the file.
        let mut bytes = vec![0; to - from];
        (self.file.seek(SeekFrom::Start(self.start + *from as u64)))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|e| Error::io(&self.path, e))?;
        let values = decode(&bytes);
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(bad(format!(
                "tensor `{name}` holds {} at {at}: expected finite numbers",
                values[at]
            )));
        }
        Ok(checkpoint::own_layout(parameter, values))
    }
}

/// Numbers of `N` bytes each.
fn numbers<const N: usize>(bytes: &[u8], decode: fn([u8; N]) -> f32) -> Vec<f32> {
    bytes
        .as_chunks::<N>()
        .0
        .iter()
        .map(|b| decode(*b))
        .collect()
}

/// A name from a file, for a message.
fn shown(name: &str) -> String {
    name.chars()
        .take(120)
        .flat_map(char::escape_debug)
        .collect()
}
