//! What the firmware takes, measured, is within `budget.toml`, and what the README says of it.

use std::collections::BTreeMap;
use std::fs;

use decora_firmware::data::{OWNER, Precision, TEST_OLD, TEST_OWNER};
use decora_firmware::digits::RECORD;
use decora_firmware::setup::{ARENA, ARENA_BUDGET, Setup};
use object::{Object, ObjectSection, SectionKind};
use serde::Deserialize;

use super::emulator::{print, programs, run};

#[derive(Deserialize)]
struct Budget {
    bytes: BTreeMap<String, f64>,
    instructions: BTreeMap<String, f64>,
}

fn budget() -> Budget {
    toml::from_str(include_str!("../../../budget.toml")).unwrap()
}

fn within(what: &str, found: f64, budget: f64) {
    println!("{what}: {found:.3} of {budget}");
    assert!(found <= budget, "{what}: found {found}, expected at most {budget}");
}

/// The number in the README's row of this name is the one measured, but for 5 % that compilers differ
/// in.
fn stated(what: &str, found: f64) {
    let row = include_str!("../../../README.md").lines().find(|line| {
        line.starts_with('|') && line.split('|').nth(1).is_some_and(|cell| cell.trim() == what)
    });
    let row = row.unwrap_or_else(|| panic!("the README has no row {what}: it is {found:.2}"));
    let cell = row.split('|').nth(2).unwrap().trim().replace(',', "");
    let number: f64 = cell.parse().unwrap_or_else(|_| panic!("{what}: no number: {cell}"));
    assert!((number / found - 1.0).abs() <= 0.05, "README: {what}: {number}, measured {found:.2}");
}

fn both(what: &str, found: f64, budget: f64) {
    within(what, found, budget);
    stated(what, found);
}

#[test]
fn the_arena_is_within_its_budget() {
    let Budget { bytes, .. } = budget();
    assert_eq!(bytes["arena"], ARENA_BUDGET as f64, "two places that say the same");
    for setup in Setup::EACH {
        let words = setup.words();
        assert!(words <= ARENA);
        both(&format!("arena, {}", setup.name), (4 * words) as f64, bytes["arena"]);
    }
}

/// Bytes of flash that a program takes, without the base networks and recordings that lie in it.
fn code(program: &str) -> usize {
    let elf = fs::read(programs().join(program)).unwrap();
    let file = object::File::parse(&*elf).unwrap();
    let mut all = Vec::new();
    use SectionKind::{Data, ReadOnlyData, ReadOnlyString, Text};
    for section in file.sections() {
        if matches!(section.kind(), Text | ReadOnlyData | ReadOnlyString | Data) {
            all.extend_from_slice(section.data().unwrap());
        }
    }
    let records = [OWNER, TEST_OWNER, TEST_OLD].map(|r| r.len() * RECORD);
    let bases = [Precision::Single, Precision::Half].map(|p| {
        let base = p.base();
        let inside = all.windows(base.len()).any(|window| window == base);
        if inside { base.len() } else { 0 }
    });
    all.len() - records.iter().sum::<usize>() - bases.iter().sum::<usize>()
}

#[test]
#[ignore = "needs the firmware and the emulator: tests/run provides both"]
fn code_and_stack_are_within_their_budgets() {
    let Budget { bytes, .. } = budget();
    both("code", code("decora-firmware") as f64, bytes["code"]);
    let used = run("decora-firmware", None).number_before("bytes used");
    assert!(used > 1024, "the paint was found at once: {used}");
    both("stack", used as f64, bytes["stack"]);
}

/// The instructions of each step that the benchmark counts, and its multiply-accumulates.
fn steps() -> BTreeMap<String, (f64, f64)> {
    let line = |line: &str| {
        let mut words = line.split_whitespace().rev();
        let (_, macs, instructions) = (words.next()?, words.next()?, words.next()?);
        let name = line.split(instructions).next()?.trim().to_owned();
        Some((name, (instructions.parse().ok()?, macs.parse().ok()?)))
    };
    print("bench").lines().filter_map(line).collect()
}

#[test]
#[ignore = "needs the firmware and the emulator: tests/run provides both"]
fn instructions_are_within_their_budgets() {
    let (Budget { instructions, .. }, steps) = (budget(), steps());
    let step = |method: &str| steps[&format!("step {method}, f32, batch 8")];
    let (lora, dora) = (step("LoRA"), step("DoRA"));
    let (lora_fa, dora_fa) = (step("LoRA, A frozen"), step("DoRA, A frozen"));
    for (what, found, budget) in [
        ("DoRA, per multiply-accumulate", dora.0 / dora.1, "dora_per_mac"),
        ("DoRA / LoRA", dora.0 / lora.0, "dora_per_lora"),
        ("DoRA, A frozen / LoRA", dora_fa.0 / lora.0, "frozen_a_per_lora"),
        ("DoRA, A frozen / LoRA, A frozen", dora_fa.0 / lora_fa.0, "frozen_a_per_frozen_a"),
    ] {
        both(what, found, instructions[budget]);
    }
}
