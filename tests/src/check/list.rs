//! Every property by name.

use core::fmt::Write;

use super::candidate::Group;
use crate::tolerance;
use crate::{
    each_of_adapters, each_of_backend, each_of_gradients, each_of_mlp, each_of_network,
    each_of_sequence, each_of_sequence_gradients,
};

macro_rules! names {
    ($module:ident: $($property:ident)*) => { &[$(stringify!($property)),*] };
}

const ALL: [(Group, &[&str]); 7] = [
    (Group::Operation, each_of_backend!([names])),
    (Group::Operation, each_of_network!([names])),
    (Group::Operation, each_of_sequence!([names])),
    (Group::Invariant, each_of_adapters!([names])),
    (Group::Invariant, each_of_mlp!([names])),
    (Group::Gradient, each_of_gradients!([names])),
    (Group::Gradient, each_of_sequence_gradients!([names])),
];

/// A line for each property whose name contains `filter`: name, group, bound, reason.
pub(super) fn list(filter: &str) -> String {
    let mut text = String::new();
    for (group, names) in ALL {
        for name in names.iter().filter(|name| name.contains(filter)) {
            let tolerance = tolerance::of(name);
            let (bound, reason) =
                tolerance.map_or_else(Default::default, |t| (t.to_string(), t.reason));
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<28} {group:<10} {bound:<22} {reason}");
        }
    }
    for (_, names) in ALL.iter().filter(|(group, _)| *group == Group::Operation) {
        let strict = names.iter().map(|name| format!("strict/{name}"));
        for name in strict.filter(|name| name.contains(filter)) {
            let _ = writeln!(text, "{name:<28} {}", Group::Strict);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_leaves_what_contains_it() {
        let found = list("gemm_");
        let names: Vec<_> = found.lines().filter_map(|l| l.split_whitespace().next()).collect();
        assert_eq!(
            names,
            ["gemm_frozen", "gemm_adapted", "strict/gemm_frozen", "strict/gemm_adapted"]
        );
    }

    #[test]
    fn every_property_has_a_bound_and_a_reason() {
        for name in ALL.iter().flat_map(|(_, names)| *names) {
            assert!(tolerance::of(name).is_some_and(|t| !t.reason.is_empty()), "{name}");
        }
    }
}
