//! Compiles `../*.comp` to `../spv` and writes `../manifest.json`. With `--check` it writes nothing,
//! and fails where the committed bytes are others.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use serde::Serialize;
use sha2::{Digest, Sha256};
use shaderc::{CompileOptions, EnvVersion, OptimizationLevel, ResolvedInclude, ShaderKind};
use shaderc::{SpirvVersion, TargetEnv};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Which variants a shader has, and the macros that are defined in each.
const VARIANTS: [(&str, &[&str]); 2] = [("words", &[]), ("halves", &["HALVES"])];
const MATRIX_VARIANTS: [(&str, &[&str]); 2] =
    [("f16", &["HALVES"]), ("bf16", &["HALVES", "BFLOAT"])];

/// The one shader with cooperative matrices.
const MATRIX_STEM: &str = "gemm_coop";

#[derive(Serialize)]
struct Manifest {
    compiler: String,
    spirv_of_compiler: String,
    target: &'static str,
    modules: Vec<Module>,
}

#[derive(Serialize)]
struct Module {
    stem: String,
    variant: &'static str,
    macros: &'static [&'static str],
    sources: Vec<String>,
    sources_sha256: String,
    spirv_sha256: String,
}

fn main() -> ExitCode {
    match run() {
        Ok(stale) if stale.is_empty() => ExitCode::SUCCESS,
        Ok(stale) => {
            eprintln!("not what the sources compile to: {}", stale.join(", "));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Names the files that `--check` found to differ.
fn run() -> Result<Vec<String>> {
    let check = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => return Err("usage: decora-shaders [--check]".into()),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let files = compile_all(&root)?;
    let mut stale = Vec::new();
    for (name, bytes) in &files {
        let path = root.join(name);
        if check && fs::read(&path).ok().as_deref() != Some(bytes) {
            stale.push(name.clone());
        } else if !check {
            fs::create_dir_all(path.parent().unwrap_or(&root))?;
            fs::write(&path, bytes)?;
        }
    }
    for path in listed(&root.join("spv"), "spv")? {
        let name = format!("spv/{}", file_name(&path));
        match (files.contains_key(&name), check) {
            (true, _) => {}
            (false, true) => stale.push(name),
            (false, false) => fs::remove_file(&path)?,
        }
    }
    Ok(stale)
}

/// Every file that is made, by its name below `shaders`.
fn compile_all(root: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let (version, revision) = shaderc::get_spirv_version();
    let mut manifest = Manifest {
        compiler: "shaderc 0.10.1".into(),
        spirv_of_compiler: format!("{}.{}.{revision}", version >> 16, version >> 8 & 0xff),
        target: "Vulkan 1.2, SPIR-V 1.5",
        modules: Vec::new(),
    };
    let mut files = BTreeMap::new();
    for path in listed(root, "comp")? {
        let name = file_name(&path);
        let stem = name.trim_end_matches(".comp");
        let sources = sources(root, &name)?;
        let variants = if stem == MATRIX_STEM { MATRIX_VARIANTS } else { VARIANTS };
        for (variant, macros) in variants {
            let spirv = compile(&name, &sources, macros)?;
            manifest.modules.push(Module {
                stem: stem.into(),
                variant,
                macros,
                sources: sources.keys().cloned().collect(),
                sources_sha256: sha256_of_sources(&sources),
                spirv_sha256: hex(&Sha256::digest(&spirv)),
            });
            files.insert(format!("spv/{stem}.{variant}.spv"), spirv);
        }
    }
    let json = serde_json::to_string_pretty(&manifest)? + "\n";
    files.insert("manifest.json".into(), json.into_bytes());
    Ok(files)
}

/// A shader and all that it includes, directly or not.
fn sources(root: &Path, name: &str) -> Result<BTreeMap<String, String>> {
    let (mut found, mut open) = (BTreeMap::new(), vec![name.to_owned()]);
    while let Some(name) = open.pop() {
        let text = fs::read_to_string(root.join(&name)).map_err(|e| format!("{name}: {e}"))?;
        let included = text.lines().filter_map(|l| l.strip_prefix("#include \""));
        open.extend(included.map(|l| l.trim_end_matches('"').to_owned()));
        found.insert(name, text);
        open.retain(|name| !found.contains_key(name));
    }
    Ok(found)
}

/// Over name and content of each, in the order of their names, each with its length before it.
fn sha256_of_sources(sources: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    for part in sources.iter().flat_map(|(name, text)| [name, text]) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())
}

/// Without optimisation: the optimiser moves loads out of the branches that keep them in bounds, and
/// drivers optimise anyway.
fn compile(name: &str, sources: &BTreeMap<String, String>, macros: &[&str]) -> Result<Vec<u8>> {
    let compiler = shaderc::Compiler::new()?;
    let mut options = CompileOptions::new()?;
    options.set_target_env(TargetEnv::Vulkan, EnvVersion::Vulkan1_2 as u32);
    options.set_target_spirv(SpirvVersion::V1_5);
    options.set_optimization_level(OptimizationLevel::Zero);
    options.set_warnings_as_errors();
    macros.iter().for_each(|name| options.add_macro_definition(name, None));
    options.set_include_callback(|wanted, _, _, _| match sources.get(wanted) {
        Some(text) => Ok(ResolvedInclude { resolved_name: wanted.into(), content: text.clone() }),
        None => Err(format!("{wanted} is not there")),
    });
    let text = sources.get(name).ok_or("a shader is one of its sources")?;
    let spirv =
        compiler.compile_into_spirv(text, ShaderKind::Compute, name, "main", Some(&options))?;
    Ok(spirv.as_binary_u8().to_vec())
}

/// The files of a directory with this extension, by name.
fn listed(directory: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|e| e == extension));
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
