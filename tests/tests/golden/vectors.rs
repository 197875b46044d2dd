//! Small layers worked out by hand, with every gradient in both modes.

use decora::adapter::{Adapter, Pass};
use decora::backend::{Backend, Store};
use decora::buffer::Act;
use decora::direction::LowRank;
use decora::frozen::{Format, Frozen};
use decora::init::Rng;
use decora::linear::Linear;
use decora::mat::{Mat, MatMut};
use decora::param::{Param, Slot};
use decora::spec::{NormGradient, Plan, Spec};
use decora::workspace::Workspace;
use decora_cpu::Cpu;

use crate::close;

struct Vector {
    spec: Spec,
    w: [f64; 6],
    a: [f64; 3],
    b: [f64; 2],
    m: [f64; 2],
    x: [f64; 3],
    dy: [f64; 2],
    bias: [f64; 2],
}

struct Found {
    y: Vec<f64>,
    dx: Vec<f64>,
    da: Vec<f64>,
    db: Vec<f64>,
    dm: Vec<f64>,
}

fn run(v: &Vector) -> Found {
    let mut be = Cpu::<f64>::heap();
    let frozen = Frozen::new(2, 3, Format::F64(&v.w)).unwrap();
    let base: Linear<'_, _> = Linear::new(&mut be, frozen, Some(&v.bias)).unwrap();
    let plan = Plan { out: 2, inputs: 3, bias: true, rows: 1, spec: v.spec, moments: 0 };
    let mut ws = Workspace::new(&mut be, plan.needs()).unwrap();
    let mut adapter =
        Adapter::<_, LowRank<_>>::new(&mut be, &mut ws, &base, plan, &mut Rng::new(0)).unwrap();
    let set = &mut |be: &mut Cpu<'static, f64>, _: usize, p: &mut Param<Cpu<'static, f64>>| match p
        .slot
    {
        Slot::LoraA => p.set(be, &v.a),
        Slot::LoraB => p.set(be, &v.b),
        _ => p.set(be, &v.m),
    };
    adapter.visit(&mut be, 0, set).unwrap();
    let [mut x, mut y, mut dx] = [3, 2, 3].map(|len| be.alloc::<Act>(len).unwrap());
    be.write::<Act>(&mut x, 0, &v.x).unwrap();
    let input = Mat::new(&x, 1, 3).unwrap();
    let to = MatMut::new(&mut y, 1, 2).unwrap();
    adapter.forward(&mut be, &mut ws, &base, input, to, Pass::Eval).unwrap();
    let output = y.to_vec();
    be.write::<Act>(&mut y, 0, &v.dy).unwrap();
    let (dy, of_x) = (MatMut::new(&mut y, 1, 2).unwrap(), MatMut::new(&mut dx, 1, 3).unwrap());
    adapter.backward(&mut be, &mut ws, &base, input, dy, Some(of_x), Store::Replace).unwrap();
    let mut grads = Vec::new();
    let get = &mut |_: &mut Cpu<'static, f64>, _: usize, p: &mut Param<Cpu<'static, f64>>| {
        grads.push(p.grad.to_vec());
        Ok(())
    };
    adapter.visit(&mut be, 0, get).unwrap();
    let [da, db, dm] = <[_; 3]>::try_from(grads).unwrap();
    Found { y: output, dx: dx.to_vec(), da, db, dm }
}

#[test]
fn one_layer_with_a_bias() {
    let found = run(&Vector {
        spec: Spec::dora(1, 2.0),
        w: [1.0, 2.0, 2.0, 0.0, 3.0, 4.0],
        a: [1.0, 0.0, -1.0],
        b: [0.5, -0.25],
        m: [3.0, 6.0],
        x: [1.0, 2.0, 3.0],
        dy: [1.0, -1.0],
        bias: [0.1, -0.2],
    });
    let bound = 1e-15;
    close("y", &found.y, &[9.1, 20.789101288081774], bound);
    close("dm", &found.dm, &[3.0, -3.4981835480136287], bound);
    close("dB", &found.db, &[-4.0, 4.418758165911952], bound);
    let da = [1.5523447707389941, 3.1046895414779883, 4.657034312216982];
    close("dA", &found.da, &da, bound);
    let dx = [2.552344770738994, -1.3140686244339639, -3.9711029366509463];
    close("dx", &found.dx, &dx, bound);
}

#[test]
fn one_layer_in_both_modes_of_the_norm() {
    let mut v = Vector {
        spec: Spec::dora(1, 0.5),
        w: [1.0, 2.0, 2.0, 0.0, 3.0, 4.0],
        a: [1.0, 0.0, -1.0],
        b: [1.0, 2.0],
        m: [3.0, 4.0],
        x: [1.0, -1.0, 2.0],
        dy: [1.0, -2.0],
        bias: [0.0, 0.0],
    };
    let bound = 2e-15;
    let found = run(&v);
    close("y", &found.y, &[2.5724787771376323, 3.670651741928988], bound);
    close("dm", &found.dm, &[0.8574929257125441, -1.835325870964494], bound);
    let dx = [-0.2918386046819146, -3.4479945911833756, -3.962490346610902];
    close("dx", &found.dx, &dx, bound);
    let da = [-1.3208301155369675, 1.3208301155369675, -2.641660231073935];
    close("detached dA", &found.da, &da, bound);
    close("detached dB", &found.db, &[-0.5144957554275265, 0.917662935482247], bound);

    v.spec.norm_gradient = NormGradient::Exact;
    let found = run(&v);
    let da = [-1.1614291431618498, 2.177338735182561, -1.709490470924294];
    close("exact dA", &found.da, &da, bound);
    close("exact dB", &found.db, &[-0.5144957554275265, 0.5312785415949853], bound);
}
