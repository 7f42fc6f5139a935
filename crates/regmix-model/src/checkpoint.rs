//! Checkpoints in the safetensors format.
//!
//! One file holds a consistent state: weights under Hugging Face's names and
//! layout (`[out, in]`), both AdamW moments, and in its metadata the step and
//! the fingerprint of the run. It is written to a temporary name and renamed,
//! so that there is always a whole one. The format's reader checks every
//! claim of the header against the file's length before anything is allocated.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device as BurnDevice, Tensor, TensorData};
use regmix_data::{Error, Result, artefact};
use safetensors::tensor::{Dtype, SafeTensors, View};

use crate::llama::Llama;
use crate::optimizer::AdamW;

const STEP: &str = "regmix.step";
const FINGERPRINT: &str = "regmix.fingerprint";
const MEAN: &str = "optimizer.exp_avg.";
const SQUARE: &str = "optimizer.exp_avg_sq.";

/// Writes the whole state of a run.
pub(crate) fn save(
    path: &Path,
    model: &Llama,
    adam: &AdamW,
    step: u64,
    fingerprint: &str,
) -> Result<()> {
    let mut tensors = weights(model);
    for ((name, _), (m, v)) in model.parameter_names().iter().zip(&adam.moments) {
        tensors.push((format!("{MEAN}{name}"), Stored::new(flat(m))));
        tensors.push((format!("{SQUARE}{name}"), Stored::new(flat(v))));
    }
    let metadata = HashMap::from([
        (STEP.to_owned(), step.to_string()),
        (FINGERPRINT.to_owned(), fingerprint.to_owned()),
    ]);
    write(path, tensors, metadata)
}

/// Writes the weights alone, for use elsewhere.
pub(crate) fn save_weights(path: &Path, model: &Llama) -> Result<()> {
    write(path, weights(model), HashMap::new())
}

/// Reads a state into a model of the same shape; gives model, optimizer and
/// step.
pub(crate) fn load(
    path: &Path,
    model: Llama,
    fingerprint: &str,
    device: &BurnDevice,
) -> Result<(Llama, AdamW, u64)> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let bad = |problem: String| {
        Error::input(problem)
            .in_file(path)
            .help("delete the run's folder to train it again from the start")
    };
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
    let names = model.parameter_names();
    let mut restore = Restore {
        tensors: &tensors,
        names: &names,
        device,
        index: 0,
        moments: Vec::new(),
        problem: None,
    };
    let model = model.map(&mut restore);
    if let Some(problem) = restore.problem {
        return Err(bad(problem));
    }
    let adam = AdamW {
        moments: restore.moments,
        updates: i32::try_from(step).map_err(|_| bad(format!("step {step} is too large")))?,
    };
    Ok((model, adam, step))
}

fn write(
    path: &Path,
    tensors: Vec<(String, Stored)>,
    metadata: HashMap<String, String>,
) -> Result<()> {
    let bytes = safetensors::serialize(tensors, Some(metadata))
        .map_err(|e| Error::failed(format!("checkpoint: {e}")).in_file(path))?;
    artefact::write_atomic(path, &bytes)
}

struct Stored {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Stored {
    fn new(values: Vec<f32>) -> Self {
        Self::shaped(vec![values.len()], &values)
    }

    fn shaped(shape: Vec<usize>, values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { shape, bytes }
    }
}

impl View for Stored {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

fn flat<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter::<f32>().collect()
}

/// The weights in Hugging Face's layout.
fn weights(model: &Llama) -> Vec<(String, Stored)> {
    let names = model.parameter_names();
    let mut collect = Collect {
        names: &names,
        tensors: Vec::new(),
    };
    model.visit(&mut collect);
    collect.tensors
}

struct Collect<'a> {
    names: &'a [(String, bool)],
    tensors: Vec<(String, Stored)>,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let (name, transposed) = &self.names[self.tensors.len()];
        let tensor = param.val().inner();
        let tensor = if *transposed {
            tensor.swap_dims(0, 1)
        } else {
            tensor
        };
        let stored = Stored::shaped(tensor.dims().to_vec(), &flat(&tensor));
        self.tensors.push((name.clone(), stored));
    }
}

struct Restore<'a> {
    tensors: &'a SafeTensors<'a>,
    names: &'a [(String, bool)],
    device: &'a BurnDevice,
    index: usize,
    moments: Vec<(Tensor<1>, Tensor<1>)>,
    problem: Option<String>,
}

impl Restore<'_> {
    fn read(&self, name: &str, shape: &[usize]) -> std::result::Result<Vec<f32>, String> {
        let view = self
            .tensors
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

    fn param<const D: usize>(
        &mut self,
        param: &Param<Tensor<D>>,
    ) -> std::result::Result<Tensor<D>, String> {
        let (name, transposed) = &self.names[self.index];
        let mut shape = param.val().dims();
        if *transposed {
            shape.swap(0, 1);
        }
        let count = shape.iter().product();
        let values = self.read(name, &shape)?;
        let device = self.device.clone().inner();
        let tensor = Tensor::<D>::from_data(TensorData::new(values, shape), &device);
        let tensor = if *transposed {
            tensor.swap_dims(0, 1)
        } else {
            tensor
        };
        let moment = |prefix: &str| {
            let values = self.read(&format!("{prefix}{name}"), &[count])?;
            Ok::<_, String>(Tensor::from_data(TensorData::new(values, [count]), &device))
        };
        let pair = (moment(MEAN)?, moment(SQUARE)?);
        self.moments.push(pair);
        Ok(tensor)
    }
}

impl ModuleMapper for Restore<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.problem.is_some() {
            return param;
        }
        match self.param(&param) {
            Ok(tensor) => {
                self.index += 1;
                let (id, _, mapper) = param.consume();
                // A transposed view and a fresh tensor multiply along other
                // paths: make it contiguous, so that resuming changes nothing.
                let tensor = contiguous(tensor);
                Param::from_mapped_value(id, Tensor::from_inner(tensor).require_grad(), mapper)
            }
            Err(problem) => {
                self.problem = Some(problem);
                param
            }
        }
    }
}

/// The same values in row-major order.
fn contiguous<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let device = tensor.device();
    let data = tensor.into_data();
    Tensor::from_data(data, &device)
}
