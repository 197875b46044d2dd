//! The program `decora-check` as its user sees it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use decora_conformance::check::{self, Candidate, Devices};
use decora_conformance::strict::Strict;
use decora_cpu::Cpu;
use serde_json::Value;

fn program(args: &[&str]) -> Output {
    let run = Command::new(env!("CARGO_BIN_EXE_decora-check")).args(args).output();
    run.unwrap_or_else(|e| panic!("decora-check does not start: {e}"))
}

/// Exit code, output and errors.
fn outcome(args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = program(args);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

/// An empty folder of the test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    folder
}

fn text_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_sound_backend_passes_in_words_json_and_xml() {
    let folder = folder("sound");
    let (json, junit) = (folder.join("check.json"), folder.join("check.xml"));
    let [to_json, to_junit] = [&json, &junit].map(|path| path.to_str().unwrap_or_default());
    let args = ["--scalar", "f16,f32", "--filter", "row_dot", "--shapes"];
    let (code, out, errors) =
        outcome(&[&args[..], &["--json", to_json, "--junit", to_junit]].concat());
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{out}");
    for expected in ["row_dot", "strict/row_dot", "2×65537", "misfits", "4 properties"] {
        assert!(out.contains(expected), "no {expected} in: {out}");
    }
    assert!(out.ends_with("all passed\n"), "{out}");

    let found: Value = serde_json::from_str(&text_of(&json)).unwrap_or_default();
    assert_eq!((&found["passed"], &found["against"]), (&true.into(), &"cpu-f64".into()));
    let properties = found["properties"].as_array().map_or(&[][..], Vec::as_slice);
    let scalars: Vec<_> = properties.iter().filter_map(|p| p["scalar"].as_str()).collect();
    assert_eq!(scalars, ["f32", "f32", "f16", "f16"]);
    let shapes = properties[0]["shapes"].as_array().map_or(&[][..], Vec::as_slice);
    let tile = shapes.iter().find(|shape| shape["shape"] == "65×64");
    let tile = tile.unwrap_or_else(|| panic!("no 65×64 in {shapes:?}"));
    assert!(tile["cases"].as_u64() == Some(2) && tile["worst"]["share"].as_f64() < Some(1.0));
    assert!(tile["against"]["error"].as_f64().is_some_and(|error| error > 0.0), "{tile}");

    let suites = elements(&text_of(&junit));
    let count = |name: &str| suites.iter().filter(|element| element.as_str() == name).count();
    assert_eq!(["testsuites", "testsuite", "testcase", "failure"].map(count), [1, 2, 4, 0]);
    assert_eq!(names_in(&folder), ["check.json", "check.xml"], "nothing else is left");
}

/// The names of all elements of an XML file, each of which ends where it should.
fn elements(xml: &str) -> Vec<String> {
    let (mut open, mut all) = (Vec::new(), Vec::new());
    for tag in xml.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap_or_else(|| panic!("unclosed: <{tag}"));
        let name = tag.split_whitespace().next().unwrap_or_default().trim_end_matches('/');
        assert!(tag.matches('"').count() % 2 == 0, "an attribute does not end: {tag}");
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop().as_deref(), Some(name), "closed"),
            None if name == "?xml" => {}
            None => {
                all.push(name.to_string());
                if !tag.ends_with('/') {
                    open.push(name.to_string());
                }
            }
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    all
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_runs() {
    let folder = folder("refused");
    let nowhere = folder.join("missing/check.json");
    let (nowhere, here) =
        (nowhere.to_str().unwrap_or_default(), folder.to_str().unwrap_or_default());
    for (args, says) in [
        (&["--backend", "abacus"][..], "abacus"),
        (&["--against", "abacus"], "abacus"),
        (&["--scalar", "f8"], "f8"),
        (&["--filter", "no such property"], "no such property"),
        (&["--list", "--filter", "no such property"], "no such property"),
        (&["--filter", "sgd", "--json", nowhere], nowhere),
        (&["--filter", "sgd", "--junit", here], here),
        (&["--json", "a", "--junit", "a"], "same file"),
        (&["extra"], "extra"),
    ] {
        let (code, out, errors) = outcome(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}: {errors}");
        assert!(errors.contains(says), "{args:?}: {errors}");
    }
    assert!(names_in(&folder).is_empty(), "something was written");
}

#[test]
fn every_property_is_listed() {
    let (code, out, _) = outcome(&["--list"]);
    let names: Vec<_> = out.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(code, Some(0));
    for name in [
        "alloc",
        "softmax_cross_entropy",
        "attention",
        "merged_is_forward",
        "mlp_gradient",
        "attention_gradient",
        "strict/sgd",
        "strict/rotate",
    ] {
        assert!(names.contains(&name), "{name} is not in: {out}");
    }
}

#[test]
fn another_backend_can_be_the_reference() {
    for args in
        [["--backend", "cpu-fast", "--against", "cpu"], ["--backend", "cpu", "--against", "none"]]
    {
        let narrow = ["--filter", "gemm_frozen", "--scalar", "f32"];
        let (code, out, errors) = outcome(&[&args[..], &narrow].concat());
        assert_eq!(code, Some(0), "{out}{errors}");
    }
}

/// Runs the command in this process, on the CPU under another name.
fn mine(args: &[&str], open: impl Fn() -> Result<Devices, String> + 'static) -> String {
    let args = [&["mine"], args].concat();
    format!("{:?}", check::from(args, [Candidate::new("mine", open), check::cpu()]))
}

fn code(code: u8) -> String {
    format!("{:?}", std::process::ExitCode::from(code))
}

#[test]
fn a_device_of_ones_own_gets_the_same_command() {
    let sound = || Ok(Devices::named("mine").backend(Cpu::<f32>::heap));
    assert_eq!(mine(&["--filter", "scale_rows"], sound), code(0));
    assert_eq!(mine(&["--filter", "rotate"], sound), code(2), "not for sequences");
    let rotate = ["--backend", "cpu", "--filter", "rotate", "--scalar", "f32"];
    assert_eq!(mine(&rotate, sound), code(0));
    assert_eq!(mine(&["--filter", "scale_rows", "--scalar", "f64"], sound), code(2), "no f64");
    let missing = || Err("no such device".into());
    assert_eq!(mine(&["--filter", "scale_rows"], missing), code(3));
    assert_eq!(mine(&["--backend", "cpu", "--against", "mine"], missing), code(3));
    let broken =
        || Ok(Devices::named("mine").network(|| -> Cpu<'static, f32> { panic!("broken") }));
    assert_eq!(mine(&["--filter", "scale_rows"], broken), code(1));
}

/// The JSON and XML of a device that fails: names, text and counts.
#[test]
fn a_failure_is_in_every_output() {
    let folder = folder("failing");
    let (json, junit) = (folder.join("check.json"), folder.join("check.xml"));
    let [to_json, to_junit] = [&json, &junit].map(|path| path.to_str().unwrap_or_default());
    let said = core::cell::Cell::new(0);
    let open = move || {
        let said = said.clone();
        let messages = move || {
            said.set(said.get() + 1);
            (1..=said.get()).map(|n| format!("hazard <{n}>")).collect()
        };
        let devices = Devices::named("<mine>").network(|| Strict::new(Cpu::<f32>::heap()));
        Ok(devices.messages(messages))
    };
    let args = ["--filter", "sgd", "--json", to_json, "--junit", to_junit];
    assert_eq!(mine(&args, open), code(1));

    let found: Value = serde_json::from_str(&text_of(&json)).unwrap_or_default();
    assert_eq!((&found["passed"], &found["device"]), (&false.into(), &"<mine>".into()));
    let failures = &found["properties"][0]["failures"];
    assert!(failures[0].as_str().is_some_and(|text| text.contains("hazard <1>")), "{failures}");
    let xml = text_of(&junit);
    assert_eq!(elements(&xml).iter().filter(|name| name.as_str() == "failure").count(), 2);
    assert!(xml.contains("hazard &lt;1&gt;") && xml.contains("failures=\"2\""), "{xml}");
}
