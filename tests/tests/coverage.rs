//! Every method of the contract has a property and a tolerance: a method without fails here.

use std::path::Path;

use decora_conformance::suite::{BACKEND, NETWORK, SEQUENCE};
use decora_conformance::tolerance;

/// The names of the methods of a trait, from the source.
fn methods(file: &str, name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src").join(file);
    let source =
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let start = source
        .find(&format!("pub trait {name}:"))
        .unwrap_or_else(|| panic!("no trait {name} in {file}"));
    let body = &source[start..];
    let end = body.find("\n}").unwrap_or(body.len());
    let names = body[..end].lines().filter_map(|line| line.strip_prefix("    fn "));
    names.map(|line| line.split(['(', '<']).next().unwrap_or_default().to_string()).collect()
}

fn covered(file: &str, name: &str, properties: &[&str]) {
    let methods = methods(file, name);
    assert!(methods.len() >= properties.len(), "{name}: {methods:?} read from {file}");
    for method in &methods {
        assert!(properties.contains(&method.as_str()), "{name}::{method} has no property");
        assert!(tolerance::of(method).is_some(), "{name}::{method} has no tolerance");
    }
    for property in properties {
        assert!(methods.iter().any(|m| m == property), "{property} is no method of {name}");
    }
}

#[test]
fn every_method_of_backend() {
    covered("backend.rs", "Backend", BACKEND);
}

#[test]
fn every_method_of_network() {
    covered("network.rs", "Network", NETWORK);
}

#[test]
fn every_method_of_sequence() {
    covered("sequence.rs", "Sequence", SEQUENCE);
}
