//! The committed SPIR-V is what the compiler made of the committed shaders. That the compiler makes the
//! same again, only `shaders/compiler --check` can tell.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

fn shaders() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders")
}

fn modules() -> Vec<Value> {
    let text = fs::read_to_string(shaders().join("manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_str(&text).expect("a manifest in JSON");
    manifest["modules"].as_array().expect("modules").clone()
}

fn text<'v>(module: &'v Value, field: &str) -> &'v str {
    module[field].as_str().unwrap_or_else(|| panic!("no {field} in {module}"))
}

/// The names of the files with this extension, without it.
fn stems(directory: &Path, extension: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string());
    let names = names.map(|name| name.expect("a name in UTF-8"));
    names.filter_map(|name| name.strip_suffix(extension).map(str::to_owned)).collect()
}

/// A shader and all that it includes, directly or not.
fn sources(name: &str) -> BTreeMap<String, String> {
    let (mut found, mut open) = (BTreeMap::new(), vec![name.to_owned()]);
    while let Some(name) = open.pop() {
        let path = shaders().join(&name);
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
        let included = text.lines().filter_map(|line| line.strip_prefix("#include \""));
        open.extend(included.map(|line| line.trim_end_matches('"').to_owned()));
        found.insert(name, text);
        open.retain(|name| !found.contains_key(name));
    }
    found
}

/// Over name and content of each, in the order of their names, each with its length before it.
fn sha256_of_sources(name: &str) -> String {
    let mut hash = Sha256::new();
    for (name, text) in sources(name) {
        for part in [name, text] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_shader_is_compiled_and_nothing_else() {
    let modules = modules();
    let listed = |of: &dyn Fn(&Value) -> String| modules.iter().map(of).collect::<BTreeSet<_>>();
    let named = |m: &Value| format!("{}.{}", text(m, "stem"), text(m, "variant"));
    assert_eq!(listed(&named).len(), modules.len(), "a module is listed twice");
    assert_eq!(listed(&named), stems(&shaders().join("spv"), ".spv"));
    assert_eq!(listed(&|m| text(m, "stem").to_owned()), stems(&shaders(), ".comp"));
}

#[test]
fn no_source_changed_after_it_was_compiled() {
    for module in modules() {
        let name = format!("{}.comp", text(&module, "stem"));
        let stale = sha256_of_sources(&name) != text(&module, "sources_sha256");
        assert!(!stale, "{name} or what it includes changed: run shaders/compiler");
    }
}

#[test]
fn no_module_changed_after_it_was_compiled() {
    for module in modules() {
        let name = format!("spv/{}.{}.spv", text(&module, "stem"), text(&module, "variant"));
        let spirv = fs::read(shaders().join(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let made = hex(&Sha256::digest(spirv)) == text(&module, "spirv_sha256");
        assert!(made, "{name} is not what the compiler made: run shaders/compiler");
    }
}
