//! How adapters have changed their layers.

use decora::adapter::Adapter;
use decora::buffer::{Acc, Buffer};
use decora::decompose::Deviation;
use decora::direction::Any;
use decora::linear::Linear;
use decora::mat::{Layout, MatMut};
use decora::workspace::Workspace;
use decora_hub::network::{Names, Net};

use crate::device::Device;
use crate::error::Error;
use crate::metrics::LayerChange;

/// Numbers of a weight that are looked at together, unless a row has more.
const PIECE: usize = 1 << 16;

/// g, ΔM and ΔD of every adapted layer.
///
/// # Errors
/// [`Error::Network`].
pub fn changes<B: Device>(
    be: &mut B,
    net: &mut Net<'_, B>,
    names: &Names,
) -> Result<Vec<LayerChange>, Error> {
    let widest = net.layers_mut().0.map(|layer| layer.base.shape().1).max().unwrap_or_default();
    let mut tile = be.alloc::<Acc>(PIECE.max(widest)).map_err(Error::network)?;
    let (layers, ws) = net.layers_mut();
    let mut all = Vec::new();
    for layer in layers {
        let Some(adapter) = &mut layer.adapter else { continue };
        let (g_mean, g_std) = gains(be, ws, &layer.base, adapter)?;
        let deviation = deviation(be, ws, &layer.base, adapter, &mut tile)?;
        all.push(LayerChange {
            layer: names.path(layer.module.number()).unwrap_or_default().to_owned(),
            g_mean,
            g_std,
            delta_m: deviation.magnitude(),
            delta_d: deviation.direction(),
        });
    }
    Ok(all)
}

/// Mean and standard deviation of g; 1 and 0 without a magnitude.
fn gains<B: Device>(
    be: &mut B,
    ws: &mut Workspace<B>,
    base: &Linear<'_, B>,
    adapter: &mut Adapter<B, Any<B>>,
) -> Result<(f64, f64), Error> {
    adapter.refresh(be, ws, base)?;
    let Some(g) = adapter.gains("telemetry")? else { return Ok((1.0, 0.0)) };
    let mut values = vec![0.0; g.len()];
    be.read::<Acc>(g, 0, &mut values).map_err(Error::network)?;
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|&g| f64::from(g)).sum::<f64>() / count;
    let square = values.iter().map(|&g| (f64::from(g) - mean).powi(2)).sum::<f64>() / count;
    Ok((mean, square.sqrt()))
}

fn deviation<B: Device>(
    be: &mut B,
    ws: &mut Workspace<B>,
    base: &Linear<'_, B>,
    adapter: &mut Adapter<B, Any<B>>,
    tile: &mut B::Buf<Acc>,
) -> Result<Deviation, Error> {
    let (out, inputs) = base.shape();
    let piece = (PIECE / inputs.max(1)).max(1);
    let mut deviation = Deviation::default();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for first in (0..out).step_by(piece) {
        let at = Layout::row_major(0, piece.min(out - first), inputs);
        let count = at.rows * inputs;
        before.resize(count, 0.0f32);
        after.resize(count, 0.0f32);
        be.frozen_rows(&base.weight, first, MatMut { buf: tile, at }).map_err(Error::network)?;
        be.read::<Acc>(tile, 0, &mut before).map_err(Error::network)?;
        adapter.merged_rows(be, ws, base, first, MatMut { buf: tile, at })?;
        be.read::<Acc>(tile, 0, &mut after).map_err(Error::network)?;
        let rows = before.chunks(inputs).zip(after.chunks(inputs));
        rows.for_each(|(w, v)| deviation.push(w, v));
    }
    Ok(deviation)
}
