//! A file that PEFT wrote: its names are ours, and the network it makes is PEFT's.

use decora::direction::LowRank;
use decora::frozen::{Format, Frozen};
use decora::init::Rng;
use decora::linear::Linear;
use decora::mlp::{Mlp, Shape};
use decora::network::Activation;
use decora::param::{Param, Parameters};
use decora::spec::{Plan, Spec};
use decora_cpu::Cpu;

use crate::file::Golden;
use crate::{close, to};

#[test]
fn its_tensors_have_our_names_and_shapes_and_give_its_logits() {
    let (run, file) =
        (Golden::open("train.safetensors"), Golden::open("peft_adapter/adapter_model.safetensors"));
    let dims = [6, 7, 5, 3];
    let mut be = Cpu::<f64>::heap();
    let weights = [0, 1, 2].map(|i| run.get(&format!("dora/initial/layers.{i}.weight")));
    let bases: Vec<_> = (0..3)
        .map(|i| {
            let frozen = Frozen::new(dims[i + 1], dims[i], Format::F64(&weights[i])).unwrap();
            let bias = run.get(&format!("dora/initial/layers.{i}.bias"));
            Linear::new(&mut be, frozen, Some(&bias)).unwrap()
        })
        .collect();
    let plans = [0, 1, 2].map(|i| Plan {
        out: dims[i + 1],
        inputs: dims[i],
        bias: true,
        rows: 5,
        spec: Spec::dora(2, 4.0),
        moments: 0,
    });
    let shape = Shape { plans: &plans, activation: Activation::Relu };
    let mut mlp: Mlp<'_, _, LowRank<_>, 3> =
        Mlp::new(&mut be, shape, bases, &mut Rng::new(0)).unwrap();
    let mut names = Vec::new();
    let mut load = |be: &mut Cpu<'static, f64>, i: usize, p: &mut Param<Cpu<'static, f64>>| {
        let name = format!("base_model.model.layers.{i}.{}", p.slot.peft_name());
        let (rows, cols) = p.shape();
        let expected = if p.slot.dimensions() == 1 { vec![rows] } else { vec![rows, cols] };
        assert_eq!(file.shape(&name), expected, "{name}");
        p.set(be, &to(&file.get(&name)))?;
        names.push(name);
        Ok(())
    };
    mlp.visit(&mut be, &mut load).unwrap();
    names.sort();
    assert_eq!(names, file.names(), "the file has these tensors and no others");
    let mut logits = [0.0; 15];
    mlp.infer(&mut be, &run.get("dora/x_eval"), &mut logits).unwrap();
    // The file is in f32, PEFT's logits are from before the rounding.
    close("logits", &logits, &run.get("dora/logits_eval"), 1e-7);
}
