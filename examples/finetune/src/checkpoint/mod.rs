//! Checkpoints: folders `checkpoint-<step>` that are whole or not there at all.
//!
//! | file | what |
//! |---|---|
//! | `state.json` | [`State`] |
//! | `state.safetensors` | values and moments of every trained parameter, f32 |
//! | others | the adapter, in PEFT's format |
//!
//! A folder is written under another name and renamed when all its files are on the disk. The one before
//! it stays until a step went well from the new one.

mod error;
mod numbers;
mod state;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

pub use error::CheckpointError;
pub use numbers::{Numbers, Writer};
pub use state::State;

const STATE: &str = "state.json";
const TENSORS: &str = "state.safetensors";
const PREFIX: &str = "checkpoint-";
/// How a folder begins that is not whole yet.
const PARTIAL: &str = ".partial-";

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

/// Writes a checkpoint into a folder of its own in `folder`: its state, and what `fill` puts there.
/// Answers where it is.
///
/// # Errors
/// [`CheckpointError::File`], or what `fill` answers; earlier ones stay.
pub fn write<E: From<CheckpointError>>(
    folder: &Path,
    state: &State,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<PathBuf, E> {
    let path = folder.join(format!("{PREFIX}{}", state.step));
    let partial = folder.join(format!("{PARTIAL}{}", std::process::id()));
    let _ = fs::remove_dir_all(&partial);
    let written = write_state(&partial, state).map_err(E::from).and_then(|()| fill(&partial));
    let moved = written.and_then(|()| Ok(replace(&partial, &path)?));
    if moved.is_err() {
        let _ = fs::remove_dir_all(&partial);
    }
    moved?;
    Ok(path)
}

fn write_state(folder: &Path, state: &State) -> Result<(), CheckpointError> {
    fs::create_dir_all(folder).map_err(file("write", folder))?;
    let path = folder.join(STATE);
    let state = serde_json::to_vec_pretty(state).map_err(damaged(&path))?;
    whole(&path, &state)
}

/// Opens the checkpoint with the most steps in a folder; answers where it is, too.
///
/// # Errors
/// [`CheckpointError`].
pub fn read(folder: &Path) -> Result<(State, Numbers, PathBuf), CheckpointError> {
    let none = || CheckpointError::None { path: folder.to_owned() };
    let path = last(folder).ok_or_else(none)?;
    let name = path.join(STATE);
    let state = fs::read(&name).map_err(file("read", &name))?;
    let state = serde_json::from_slice(&state).map_err(damaged(&name))?;
    let numbers = Numbers::open(&path)?;
    Ok((state, numbers, path))
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

    fn state(step: u64) -> State {
        let settings = serde_json::Map::from_iter([("lr".to_owned(), 0.5.into())]);
        let position = Position { epoch: 1, index: 2 };
        State { step, position, best: Some(0.1), since_best: 1, settings }
    }

    fn fill(folder: &Path) -> Result<(), CheckpointError> {
        Writer::create(folder, &[("a".to_owned(), 2)]).and_then(|mut writer| {
            writer.push(&[0.5, 0.25])?;
            writer.finish()
        })
    }

    fn steps(folder: &Path) -> u64 {
        read(folder).unwrap().0.step
    }

    #[test]
    fn what_is_written_is_read_and_others_can_be_removed() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &state(9), fill).unwrap();
        let path = write(dir.path(), &state(10), fill).unwrap();
        assert_eq!(before(dir.path(), &path), Some(dir.path().join("checkpoint-9")));
        fs::create_dir(dir.path().join(".partial-1")).unwrap();
        remove_others(dir.path(), &path);
        let (found, numbers, at) = read(dir.path()).unwrap();
        assert_eq!((found, &at), (state(10), &path));
        assert_eq!(numbers.get("a", 2).unwrap(), [0.5, 0.25]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        write(dir.path(), &state(10), fill).unwrap();
        remove_all(dir.path()).unwrap();
        assert!(matches!(read(dir.path()), Err(CheckpointError::None { .. })));
    }

    #[test]
    fn a_failed_write_leaves_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &state(1), fill).unwrap();
        let full = |dir: &Path| whole(&dir.join("no/such/folder"), b"x");
        let failed = write(dir.path(), &state(2), full);
        assert!(matches!(failed, Err(CheckpointError::File { action: "write", .. })));
        assert_eq!(steps(dir.path()), 1);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for (file, bytes) in [(STATE, &b"{"[..]), (TENSORS, &b"12345678"[..])] {
            let path = write(dir.path(), &state(1), fill).unwrap();
            fs::write(path.join(file), bytes).unwrap();
            let error = read(dir.path()).unwrap_err();
            assert!(matches!(error, CheckpointError::Damaged { .. }), "{error}");
            assert_eq!(error.to_string().matches(file).count(), 1, "{error}");
        }
    }
}
