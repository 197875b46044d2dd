//! Compiled kernels on disk. All of this is a convenience: what fails is done without.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

use crate::select::DeviceInfo;

/// What an earlier run compiled for the same device and driver.
pub(crate) fn load(info: &DeviceInfo) -> Option<Vec<u8>> {
    let data = fs::read(file(info)?).ok()?;
    fits(info, &data).then_some(data)
}

/// Keeps what this run compiled: written beside the file and then renamed, so that a run that is
/// cut off leaves the old file.
pub(crate) fn save(info: &DeviceInfo, data: &[u8]) {
    let Some(file) = file(info) else { return };
    if fs::read(&file).is_ok_and(|old| old.len() >= data.len() && fits(info, &old)) {
        return;
    }
    let written = write(&file, data);
    if written.is_none() {
        let _ = fs::remove_file(draft(&file));
    }
}

fn write(file: &Path, data: &[u8]) -> Option<()> {
    fs::create_dir_all(file.parent()?).ok()?;
    fs::write(draft(file), data).ok()?;
    fs::rename(draft(file), file).ok()
}

fn draft(file: &Path) -> PathBuf {
    file.with_extension(format!("{}.tmp", process::id()))
}

/// `DECORA_CACHE`, or `decora` in the user's folder for caches. Set `DECORA_CACHE` to nothing to do
/// without.
fn folder() -> Option<PathBuf> {
    if let Some(folder) = env::var_os("DECORA_CACHE") {
        return (!folder.is_empty()).then(|| folder.into());
    }
    let user = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let windows = || env::var_os("LOCALAPPDATA").map(PathBuf::from);
    Some(user.or_else(home).or_else(windows)?.join("decora"))
}

fn file(info: &DeviceInfo) -> Option<PathBuf> {
    let (vendor, device, uuid) = info.ids;
    let uuid: String = uuid.iter().map(|b| format!("{b:02x}")).collect();
    Some(folder()?.join(format!("pipelines-{vendor:x}-{device:x}-{uuid}.bin")))
}

/// Whether the data begins as a pipeline cache of this device does: length of the header, version,
/// vendor, device, UUID (Vulkan specification, `VkPipelineCacheHeaderVersionOne`).
fn fits(info: &DeviceInfo, data: &[u8]) -> bool {
    let word = |i: usize| data.get(4 * i..4 * i + 4)?.try_into().map(u32::from_le_bytes).ok();
    let (vendor, device, uuid) = info.ids;
    let header = [word(0), word(1), word(2), word(3)];
    header == [Some(32), Some(1), Some(vendor), Some(device)] && data.get(16..32) == Some(&uuid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::DeviceKind;
    use crate::select::tests::device;

    /// The header that a driver writes for this device.
    fn header(info: &DeviceInfo) -> Vec<u8> {
        let (vendor, device, uuid) = info.ids;
        let words = [32, 1, vendor, device].map(u32::to_le_bytes).concat();
        [words, uuid.to_vec()].concat()
    }

    #[test]
    fn only_what_this_device_wrote_is_read_again() {
        let mut info = device("GPU", DeviceKind::Discrete);
        let data = header(&info);
        assert!(fits(&info, &data));
        assert!(!fits(&info, &data[..31]), "cut off");
        info.ids.2[15] ^= 1;
        assert!(!fits(&info, &data), "another driver");
    }
}
