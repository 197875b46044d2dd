//! Checkpoints: folders `checkpoint-<step>` that are whole or not there at all.
//!
//! | file | what |
//! |---|---|
//! | `state.json` | [`State`] |
//! | `state.safetensors` | values and moments of every trained parameter, f32 |
//! | others | what `fill` puts there: the adapter, in PEFT's format |
//!
//! A folder is written under another name and renamed when all its files are on the disk. The one before
//! it stays until a step went well from the new one.

mod error;
mod state;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

pub use error::CheckpointError;
pub use state::State;

const STATE: &str = "state.json";
const TENSORS: &str = "state.safetensors";
const PREFIX: &str = "checkpoint-";
/// How a folder begins that is not whole yet.
const PARTIAL: &str = ".partial-";

/// Numbers by name.
pub type Numbers = BTreeMap<String, Vec<f32>>;

/// Where a training run is: its state and its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Where it is.
    pub state: State,
    /// Values and moments.
    pub numbers: Numbers,
}

/// The checkpoint with the most steps in a folder.
#[must_use]
pub fn last(folder: &Path) -> Option<PathBuf> {
    all(folder).into_iter().max().map(|(_, path)| path)
}

/// The one with the most steps but for `other`.
#[must_use]
pub fn before(folder: &Path, other: &Path) -> Option<PathBuf> {
    all(folder).into_iter().filter(|(_, path)| path != other).max().map(|(_, path)| path)
}

/// Steps and paths of all checkpoints in a folder.
fn all(folder: &Path) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let checkpoint = |entry: fs::DirEntry| {
        let step = entry.file_name().to_str()?.strip_prefix(PREFIX)?.parse().ok()?;
        Some((step, entry.path()))
    };
    entries.filter_map(checkpoint).collect()
}

impl Checkpoint {
    /// Writes it into a folder of its own in `folder`, with what `fill` puts there. Answers where it is.
    ///
    /// # Errors
    /// [`CheckpointError::File`], or what `fill` answers; earlier ones stay.
    pub fn write<E: From<CheckpointError>>(
        &self,
        folder: &Path,
        fill: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        let path = folder.join(format!("{PREFIX}{}", self.state.step));
        let partial = folder.join(format!("{PARTIAL}{}", std::process::id()));
        let _ = fs::remove_dir_all(&partial);
        let written = self.write_files(&partial).map_err(E::from).and_then(|()| fill(&partial));
        let moved = written.and_then(|()| Ok(replace(&partial, &path)?));
        if moved.is_err() {
            let _ = fs::remove_dir_all(&partial);
        }
        moved?;
        Ok(path)
    }

    fn write_files(&self, folder: &Path) -> Result<(), CheckpointError> {
        fs::create_dir_all(folder).map_err(file("write", folder))?;
        let path = folder.join(STATE);
        let state = serde_json::to_vec_pretty(&self.state).map_err(damaged(&path))?;
        whole(&path, &state)?;
        let path = folder.join(TENSORS);
        let bytes: BTreeMap<_, Vec<u8>> = self.numbers.iter().map(|(k, v)| (k, bytes(v))).collect();
        let views = bytes.iter().map(|(name, bytes)| {
            let view = TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes);
            view.map(|view| (name.as_str(), view)).map_err(damaged(&path))
        });
        let views = views.collect::<Result<Vec<_>, _>>()?;
        whole(&path, &safetensors::serialize(views, None).map_err(damaged(&path))?)
    }

    /// Reads the checkpoint with the most steps in a folder; answers where it is.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn read(folder: &Path) -> Result<(Self, PathBuf), CheckpointError> {
        let none = || CheckpointError::None { path: folder.to_owned() };
        let path = last(folder).ok_or_else(none)?;
        let file_of = |name| {
            let path = path.join(name);
            fs::read(&path).map_err(file("read", &path)).map(|bytes| (path, bytes))
        };
        let (name, state) = file_of(STATE)?;
        let state = serde_json::from_slice(&state).map_err(damaged(&name))?;
        let (name, tensors) = file_of(TENSORS)?;
        let tensors = SafeTensors::deserialize(&tensors).map_err(damaged(&name))?;
        let mut numbers = Numbers::new();
        for (key, view) in tensors.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(damaged(&name)(format!(
                    "{key}: found {:?}, expected F32",
                    view.dtype()
                )));
            }
            let floats = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
            numbers.insert(key.to_owned(), floats.collect());
        }
        Ok((Self { state, numbers }, path))
    }

    /// Numbers by name, as many as there must be.
    ///
    /// # Errors
    /// [`CheckpointError::Parameter`].
    pub fn numbers(
        &self,
        path: &Path,
        name: &str,
        count: usize,
    ) -> Result<&[f32], CheckpointError> {
        let found = self.numbers.get(name);
        let wrong = || CheckpointError::Parameter {
            path: path.join(TENSORS),
            name: name.to_owned(),
            found: found.map(Vec::len),
            expected: count,
        };
        found.filter(|found| found.len() == count).map(Vec::as_slice).ok_or_else(wrong)
    }
}

/// Removes all checkpoints of a folder but one, and what is left of those that never were whole.
pub fn remove_others(folder: &Path, kept: &Path) {
    for path in everything(folder).filter(|path| path != kept) {
        let _ = fs::remove_dir_all(path);
    }
}

/// Removes all checkpoints of a folder, and what is left of those that never were whole.
///
/// # Errors
/// [`CheckpointError::File`].
pub fn remove_all(folder: &Path) -> Result<(), CheckpointError> {
    everything(folder).try_for_each(|path| fs::remove_dir_all(&path).map_err(file("remove", &path)))
}

/// The paths of all checkpoints, whole or not.
fn everything(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let partial = entries.map(|entry| entry.path()).filter(|path| {
        path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(PARTIAL))
    });
    partial.chain(all(folder).into_iter().map(|(_, path)| path))
}

/// Makes `to` what `from` is. A folder that is there was written for the same step.
fn replace(from: &Path, to: &Path) -> Result<(), CheckpointError> {
    if to.exists() {
        fs::remove_dir_all(to).map_err(file("remove", to))?;
    }
    fs::rename(from, to).map_err(file("write", to))
}

fn whole(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(file("write", path))
}

fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> CheckpointError {
    let path = path.to_owned();
    move |source| CheckpointError::File { action, path, source }
}

fn damaged<E: core::fmt::Display>(path: &Path) -> impl Fn(E) -> CheckpointError {
    let path = path.to_owned();
    move |e| CheckpointError::Damaged { path: path.clone(), reason: e.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Position;

    fn checkpoint(step: u64) -> Checkpoint {
        let settings = serde_json::Map::from_iter([("lr".to_owned(), 0.5.into())]);
        let position = Position { epoch: 1, index: 2 };
        let state = State { step, position, best: Some(0.1), since_best: 1, settings };
        let numbers = Numbers::from([
            ("a".to_owned(), vec![1.0, f32::MIN_POSITIVE]),
            ("b".to_owned(), vec![]),
        ]);
        Checkpoint { state, numbers }
    }

    fn write(folder: &Path, step: u64) -> Result<PathBuf, CheckpointError> {
        checkpoint(step).write(folder, |dir| whole(&dir.join("adapter"), b"x"))
    }

    #[test]
    fn what_is_written_is_read_and_others_can_be_removed() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 9).unwrap();
        let path = write(dir.path(), 10).unwrap();
        assert_eq!(before(dir.path(), &path), Some(dir.path().join("checkpoint-9")));
        fs::create_dir(dir.path().join(".partial-1")).unwrap();
        remove_others(dir.path(), &path);
        assert_eq!(Checkpoint::read(dir.path()).unwrap(), (checkpoint(10), path.clone()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(path.join("adapter").exists());
        write(dir.path(), 10).unwrap();
        remove_all(dir.path()).unwrap();
        assert!(matches!(Checkpoint::read(dir.path()), Err(CheckpointError::None { .. })));
    }

    #[test]
    fn a_failed_write_leaves_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 1).unwrap();
        let full = |dir: &Path| whole(&dir.join("no/such/folder"), b"x");
        let failed = checkpoint(2).write(dir.path(), full);
        assert!(matches!(failed, Err(CheckpointError::File { action: "write", .. })));
        assert_eq!(Checkpoint::read(dir.path()).unwrap().0, checkpoint(1));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for (file, bytes) in [(STATE, &b"{"[..]), (TENSORS, &b"12345678"[..])] {
            let path = write(dir.path(), 1).unwrap();
            fs::write(path.join(file), bytes).unwrap();
            let error = Checkpoint::read(dir.path()).unwrap_err();
            assert!(matches!(error, CheckpointError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains(file), "{error}");
        }
        let (checkpoint, path) = (checkpoint(1), dir.path());
        assert!(checkpoint.numbers(path, "a", 2).is_ok());
        assert!(
            checkpoint.numbers(path, "a", 3).unwrap_err().to_string().contains("found 2 numbers")
        );
        assert!(checkpoint.numbers(path, "c", 3).unwrap_err().to_string().contains("not found"));
    }
}
