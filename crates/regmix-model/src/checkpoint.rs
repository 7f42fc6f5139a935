//! Checkpoints in the safetensors format.
//!
//! One file holds a consistent state: weights under Hugging Face's names and
//! layout (`[out, in]`), both AdamW moments, and in its metadata the step and
//! the fingerprint of the run. It is written under a temporary name and renamed,
//! so that there is always a complete one. The format's reader checks the header
//! against the file's length before it allocates memory, and the metadata holds a
//! checksum of the whole file, so that no damage goes unnoticed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use regmix_data::{Error, Result, artefact};
use safetensors::tensor::{Dtype, SafeTensors, View};

use crate::engine::State;
use crate::parameters::Parameter;
use crate::trainer::StepOutcome;

const STEP: &str = "regmix.step";
const FINGERPRINT: &str = "regmix.fingerprint";
/// What the last step gave, in JSON, where its losses were still to be measured.
const OUTCOME: &str = "regmix.outcome";
/// BLAKE3 of the file in hex, with zeros in the place of this value.
const CHECKSUM: &str = "regmix.blake3";
const NO_CHECKSUM: [u8; 64] = [b'0'; 64];
const MEAN: &str = "optimizer.exp_avg.";
const SQUARE: &str = "optimizer.exp_avg_sq.";

/// Writes the whole state of a run, with what the last step gave if the losses
/// after it were not measured.
pub(crate) fn save(
    path: &Path,
    parameters: &[Parameter],
    state: &State,
    step: u64,
    outcome: Option<StepOutcome>,
    fingerprint: &str,
) -> Result<()> {
    let mut tensors = weights(parameters, &state.weights);
    for (Parameter { name, .. }, (m, v)) in parameters.iter().zip(&state.moments) {
        tensors.push((format!("{MEAN}{name}"), flat(m)));
        tensors.push((format!("{SQUARE}{name}"), flat(v)));
    }
    let mut metadata = HashMap::from([
        (STEP.to_owned(), step.to_string()),
        (FINGERPRINT.to_owned(), fingerprint.to_owned()),
    ]);
    if let Some(outcome) = outcome {
        let text = serde_json::to_string(&outcome).map_err(|e| Error::failed(e.to_string()))?;
        metadata.insert(OUTCOME.to_owned(), text);
    }
    write(path, tensors, metadata)
}

/// Writes only the weights, for use in other programs.
pub(crate) fn save_weights(
    path: &Path,
    parameters: &[Parameter],
    values: &[Vec<f32>],
) -> Result<()> {
    write(path, weights(parameters, values), HashMap::new())
}

/// Reads what [`save_weights`] wrote for a model with these parameters.
pub(crate) fn load_weights(path: &Path, parameters: &[Parameter]) -> Result<Vec<Vec<f32>>> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let bad = |problem: String| Error::input(problem).in_file(path);
    check(&bytes).map_err(bad)?;
    let tensors = SafeTensors::deserialize(&bytes)
        .map_err(|e| bad(format!("not a safetensors file: {e}")))?;
    (parameters.iter())
        .map(|parameter| weight(&tensors, parameter).map_err(bad))
        .collect()
}

/// The weights of one parameter, in this crate's layout.
fn weight(
    tensors: &SafeTensors<'_>,
    parameter: &Parameter,
) -> std::result::Result<Vec<f32>, String> {
    let values = read(tensors, &parameter.name, &parameter.stored_shape())?;
    Ok(own_layout(parameter, values))
}

/// Values in Hugging Face's layout in that of this crate.
pub(crate) fn own_layout(parameter: &Parameter, values: Vec<f32>) -> Vec<f32> {
    match parameter.transposed {
        true => transpose(&values, parameter.shape[0]),
        false => values,
    }
}

/// What a checkpoint holds.
pub(crate) struct Loaded {
    pub(crate) state: State,
    pub(crate) step: u64,
    /// What the last step gave, where its losses were still to be measured.
    pub(crate) outcome: Option<StepOutcome>,
}

/// Reads the state of a model with these parameters, and its step, which is at
/// most `steps`.
pub(crate) fn load(
    path: &Path,
    parameters: &[Parameter],
    fingerprint: &str,
    steps: u64,
) -> Result<Loaded> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let bad = |problem: String| Error::input(problem).in_file(path);
    check(&bytes).map_err(bad)?;
    let (_, header) = SafeTensors::read_metadata(&bytes)
        .map_err(|e| bad(format!("not a safetensors file: {e}")))?;
    let tensors = SafeTensors::deserialize(&bytes)
        .map_err(|e| bad(format!("not a safetensors file: {e}")))?;
    let none = HashMap::new();
    let metadata = header.metadata().as_ref().unwrap_or(&none);
    if metadata.get(FINGERPRINT).map(String::as_str) != Some(fingerprint) {
        return Err(bad(
            "checkpoint of another run: expected the fingerprint of this one".to_owned(),
        ));
    }
    let step = metadata
        .get(STEP)
        .and_then(|s| s.parse::<u64>().ok())
        .ok_or_else(|| bad("no step in the checkpoint".to_owned()))?;
    if step > steps {
        return Err(bad(format!("step {step} of a run of {steps} steps")));
    }
    let mut state = State {
        updates: step,
        ..State::default()
    };
    for parameter in parameters {
        let (name, count) = (&parameter.name, parameter.count());
        state
            .weights
            .push(weight(&tensors, parameter).map_err(bad)?);
        let moment = |prefix| read(&tensors, &format!("{prefix}{name}"), &[count]).map_err(bad);
        state.moments.push((moment(MEAN)?, moment(SQUARE)?));
    }
    let outcome = (metadata.get(OUTCOME))
        .map(|text| serde_json::from_str(text))
        .transpose()
        .map_err(|e| bad(format!("the outcome of the last step: {e}")))?;
    Ok(Loaded {
        state,
        step,
        outcome,
    })
}

fn write(
    path: &Path,
    tensors: Vec<(String, Stored<'_>)>,
    mut metadata: HashMap<String, String>,
) -> Result<()> {
    let failed = |e: String| Error::failed(format!("checkpoint: {e}")).in_file(path);
    metadata.insert(CHECKSUM.to_owned(), "0".repeat(NO_CHECKSUM.len()));
    let mut bytes =
        safetensors::serialize(tensors, Some(metadata)).map_err(|e| failed(e.to_string()))?;
    let place = checksum_place(&bytes).ok_or_else(|| failed("no place for a checksum".into()))?;
    let checksum = checksum(&bytes, &place);
    bytes[place].copy_from_slice(checksum.as_bytes());
    artefact::write_atomic(path, &bytes)
}

/// Whether a file is as it was written.
fn check(bytes: &[u8]) -> std::result::Result<(), String> {
    let place = checksum_place(bytes).ok_or("no checkpoint with a checksum")?;
    match checksum(bytes, &place).as_bytes() == &bytes[place] {
        true => Ok(()),
        false => Err("the checksum does not match: the file is damaged".to_owned()),
    }
}

/// Where a file holds its checksum.
fn checksum_place(bytes: &[u8]) -> Option<Range<usize>> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let header = rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let key = format!("\"{CHECKSUM}\":\"");
    let at = (header.windows(key.len())).position(|window| window == key.as_bytes())?;
    let start = 8 + at + key.len();
    let place = start..start + NO_CHECKSUM.len();
    (place.end <= 8 + header.len()).then_some(place)
}

fn checksum(bytes: &[u8], place: &Range<usize>) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes[..place.start]);
    hasher.update(&NO_CHECKSUM);
    hasher.update(&bytes[place.end..]);
    hasher.finalize().to_hex().to_string()
}

/// One tensor of the file; its bytes are made when they are written.
pub(crate) struct Stored<'a> {
    shape: Vec<usize>,
    values: &'a [f32],
    /// Whether the file has the transposed values.
    transposed: bool,
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Cow::Owned(if self.transposed {
            bytes(&transpose(self.values, self.shape[0]))
        } else {
            bytes(self.values)
        })
    }
    fn data_len(&self) -> usize {
        size_of_val(self.values)
    }
}

fn flat(values: &[f32]) -> Stored<'_> {
    Stored {
        shape: vec![values.len()],
        values,
        transposed: false,
    }
}

/// The weights in Hugging Face's layout.
pub(crate) fn weights<'a>(
    parameters: &[Parameter],
    values: &'a [Vec<f32>],
) -> Vec<(String, Stored<'a>)> {
    (parameters.iter().zip(values))
        .map(|(parameter, values)| {
            let stored = Stored {
                shape: parameter.stored_shape(),
                values,
                transposed: parameter.transposed,
            };
            (parameter.name.clone(), stored)
        })
        .collect()
}

/// The transpose of a row-major matrix of `columns` columns.
fn transpose(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|c| values.iter().skip(c).step_by(columns).copied())
        .collect()
}

fn read(
    tensors: &SafeTensors<'_>,
    name: &str,
    shape: &[usize],
) -> std::result::Result<Vec<f32>, String> {
    let view = tensors
        .tensor(name)
        .map_err(|_| format!("tensor `{name}` is missing"))?;
    if view.dtype() != Dtype::F32 || view.shape() != shape {
        return Err(format!(
            "tensor `{name}` is {:?} {:?}, expected F32 {shape:?}",
            view.dtype(),
            view.shape()
        ));
    }
    let values = view.data().chunks_exact(4);
    Ok(values
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect())
}
