//! Logits of a measurement: in files, described, compared.

use std::path::Path;

use anyhow::{Context, Result, bail};
use nac_modules::params::TensorFile;
use tch::{Kind, Tensor};

use super::record::{Difference, Logits};

const NAME: &str = "logits";

/// Writes logits, `[batch, classes]`, to a safetensors file.
pub(super) fn write(logits: &Tensor, path: &Path) -> Result<()> {
    let mut file = TensorFile::default();
    file.tensors.insert(NAME.into(), logits.shallow_clone());
    std::fs::write(path, file.to_bytes()?).with_context(|| path.display().to_string())
}

/// Reads what [`write`] wrote.
pub(super) fn read(path: &Path) -> Result<Tensor> {
    let mut file = TensorFile::read(path)?;
    let logits = file.tensors.remove(NAME);
    logits.with_context(|| format!("{}: no tensor `{NAME}`", path.display()))
}

pub(super) fn describe(logits: &Tensor) -> Logits {
    Logits {
        sum: logits.sum(Kind::Double).double_value(&[]),
        largest: logits.abs().max().double_value(&[]),
        finite: logits.isfinite().all().int64_value(&[]) == 1,
    }
}

/// How far `ours` are from `theirs`, both `[batch, classes]`.
pub(super) fn compare(ours: &Tensor, theirs: &Tensor) -> Result<Difference> {
    if ours.size() != theirs.size() {
        let (ours, theirs) = (ours.size(), theirs.size());
        bail!("logits of {ours:?} cannot be compared with {theirs:?}");
    }
    let largest = (ours - theirs).abs().max().double_value(&[]);
    let same = ours
        .argmax(1, false)
        .eq_tensor(&theirs.argmax(1, false))
        .to_kind(Kind::Double);
    Ok(Difference {
        largest,
        relative: largest / theirs.abs().max().double_value(&[]),
        same_best: same.mean(Kind::Double).double_value(&[]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_relative_to_the_largest_logit() {
        let theirs = Tensor::from_slice2(&[[1.0_f32, 4.0], [3.0, 2.0]]);
        let ours = Tensor::from_slice2(&[[1.0_f32, 4.0], [3.0, 5.0]]);
        let difference = compare(&ours, &theirs).unwrap();
        assert_eq!((difference.largest, difference.relative), (3.0, 0.75));
        assert_eq!(difference.same_best, 0.5);
        assert!(compare(&ours, &theirs.narrow(0, 0, 1)).is_err());
    }

    #[test]
    fn logits_survive_a_file() {
        let path = std::env::temp_dir().join(format!("nac-logits-{}", std::process::id()));
        let logits = Tensor::from_slice2(&[[0.25_f32, -1.5]]);
        write(&logits, &path).unwrap();
        let read = read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read, logits);
        assert!(describe(&logits).finite);
        assert!(!describe(&(&logits / 0.0)).finite);
    }
}
