//! Files that are whole or not there at all.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes `bytes` to a temporary name beside `path`, then renames: whoever opens `path`, at any
/// time, finds either what was there before or all of `bytes`. What a link leads to is replaced, not
/// the link; a device or a pipe is written to.
///
/// # Errors
/// What the file system answers; the temporary file is removed.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let path = &*real;
    if fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        return fs::OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    let temporary = beside(path);
    let written = write_through(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written?;
    // The name is as good as the file only when the folder is on the disk; not every system can say so.
    let _ = path.parent().map(|dir| fs::File::open(dir).and_then(|dir| dir.sync_all()));
    Ok(())
}

/// Makes `dir` and its parents, and makes sure that files can be written there.
///
/// # Errors
/// What the file system answers.
pub fn writable(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let probe = beside(&dir.join("probe"));
    write_through(&probe, &[])?;
    fs::remove_file(&probe)
}

fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("a.txt");
        write(&path, b"first")?;
        write(&path, b"second")?;
        assert_eq!(fs::read(&path)?, b"second");
        assert_eq!(fs::read_dir(dir.path())?.count(), 1);
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn links_and_what_is_no_file_stay_what_they_are() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let (target, link) = (dir.path().join("a"), dir.path().join("link"));
        fs::write(&target, "before")?;
        std::os::unix::fs::symlink(&target, &link)?;
        write(&link, b"after")?;
        assert!(fs::symlink_metadata(&link)?.is_symlink());
        assert_eq!(fs::read(&target)?, b"after");
        // No file, and nothing that can be written to.
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket)?;
        assert!(write(&socket, b"lost").is_err());
        assert!(!fs::metadata(&socket)?.is_file());
        assert_eq!(fs::read_dir(dir.path())?.count(), 3);
        Ok(())
    }

    #[test]
    fn a_failed_write_leaves_nothing() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let taken = dir.path().join("taken");
        fs::create_dir(&taken)?;
        assert!(write(&taken, b"x").is_err());
        assert_eq!(fs::read_dir(dir.path())?.count(), 1);
        Ok(())
    }
}
