//! One file everywhere: what the core writes on a device, without a heap, and what this program
//! writes are the same bytes; each reads the other's; and a file of another base is refused.

use decora::checkpoint::{self, Contents};
use decora::init::Rng;
use decora::safetensors::File;
use decora::spec::Spec;
use decora_cpu::Cpu;
use personalize::net::{self, Weights};
use personalize::peft::{self, Adapter, Config, MODEL, PeftError};

type Test = Result<(), Box<dyn core::error::Error>>;

const MODULES: [&str; net::LAYERS] = ["layers.0", "layers.1", "layers.2"];

/// The base network, and the file of a DoRA adapter on it, as a device writes it.
fn from_device() -> Result<(Weights, Vec<u8>), Box<dyn core::error::Error>> {
    let (mut be, mut rng) = (Cpu::<f32>::heap(), Rng::new(1));
    let weights = Weights::random(&mut rng);
    let mut net = net::build(&mut be, &weights, Spec::dora(2, 4.0), &mut rng)?;
    let base = Some(weights.fingerprint()?);
    let contents = Contents { modules: &MODULES, base, steps: None };
    let mut bytes = Vec::new();
    let mut sink = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok::<(), core::convert::Infallible>(())
    };
    checkpoint::write(&mut be, &mut net, &contents, &mut sink)?;
    drop(net);
    Ok((weights, bytes))
}

fn adapter(bytes: &[u8]) -> Result<Adapter, PeftError> {
    let config = Config::new(2, 4, true, MODULES.map(str::to_owned).into());
    Ok(Adapter::new(config, peft::decode(bytes)?)?.of_base(peft::base(bytes)?))
}

#[test]
fn a_devices_file_is_read_and_written_again_byte_for_byte() -> Test {
    let (weights, bytes) = from_device()?;
    let base = weights.fingerprint()?;
    assert_eq!(peft::base(&bytes)?, Some(base));
    assert_eq!(peft::encode(&peft::decode(&bytes)?, Some(base))?, bytes);
    let (adapter, dir) = (adapter(&bytes)?, tempfile::tempdir()?);
    adapter.fits(&weights.shapes())?;
    adapter.check_base(base)?;
    peft::save(dir.path(), &adapter)?;
    assert_eq!(std::fs::read(dir.path().join(MODEL))?, bytes);
    assert_eq!(peft::load(dir.path())?, adapter);
    Ok(())
}

#[test]
fn this_programs_file_is_read_by_a_device() -> Test {
    let (weights, bytes) = from_device()?;
    let mut tensors = peft::decode(&bytes)?;
    for value in tensors.values_mut().flat_map(|t| &mut t.values) {
        *value += 0.5;
    }
    let base = Some(weights.fingerprint()?);
    let written = peft::encode(&tensors, base)?;
    let mut be = Cpu::<f32>::heap();
    let mut net = net::build(&mut be, &weights, Spec::dora(2, 4.0), &mut Rng::new(2))?;
    let file = File::parse(&written)?;
    let loaded = checkpoint::read(&mut be, &mut net, &MODULES, &file, base)?;
    assert_eq!((loaded.steps, loaded.fingerprint), (None, base));
    assert_eq!(net::tensors(&mut be, &mut net)?, tensors);
    Ok(())
}

#[test]
fn an_adapter_of_another_base_is_refused_and_one_of_none_is_not() -> Test {
    let (mut weights, bytes) = from_device()?;
    let found = weights.fingerprint()?;
    weights.layers[2].b[0] += 1.0;
    let expected = weights.fingerprint()?;
    let error = adapter(&bytes)?.check_base(expected).err();
    assert!(
        matches!(error, Some(PeftError::Base { found: f, expected: e }) if f == found && e == expected),
        "{error:?}"
    );
    let nameless = peft::encode(&peft::decode(&bytes)?, None)?;
    assert_eq!(peft::base(&nameless)?, None);
    adapter(&nameless)?.check_base(expected)?;
    Ok(())
}

#[test]
fn a_fingerprint_in_another_form_is_refused() -> Test {
    let (weights, bytes) = from_device()?;
    let digits = format!("{:016x}", weights.fingerprint()?);
    let at = bytes.windows(16).position(|w| w == digits.as_bytes()).ok_or("it is in the file")?;
    for wrong in ["+000000000000001", "000000000000000A", "000000000000000 "] {
        let mut damaged = bytes.clone();
        damaged[at..at + 16].copy_from_slice(wrong.as_bytes());
        let error = adapter(&damaged).err();
        assert!(matches!(error, Some(PeftError::Fingerprint { .. })), "{wrong}: {error:?}");
    }
    Ok(())
}

#[test]
fn what_cannot_be_written_is_named() -> Test {
    let (_, bytes) = from_device()?;
    let tensors = peft::decode(&bytes)?;
    let Some((name, tensor)) = tensors.into_iter().next() else { return Ok(()) };
    let escaped = [(format!("{name}\""), tensor.clone())].into();
    assert!(matches!(peft::encode(&escaped, None), Err(PeftError::Name { .. })));
    for shape in [vec![1, 1], vec![usize::MAX, 2]] {
        let short = [(name.clone(), peft::Tensor { shape, ..tensor.clone() })].into();
        assert!(matches!(peft::encode(&short, None), Err(PeftError::Shape { .. })));
    }
    Ok(())
}
