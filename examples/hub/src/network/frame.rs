//! What is before and after the blocks.

use decora::direction::Any;
use decora::network::Activation;
use decora::sequence::Sequence;
use decora::transformer::{Angles, Frame, Head, Shape, Stem, Table, angles};

use super::blocks::norm;
use super::{BuildError, Site, tensors};
use crate::config::{self, Architecture, Positions};
use crate::modules::{self, Kind, Module, NormRole, Role};

/// Embeddings, angles, the last norm and the head, with the scratch of all layers.
pub(super) fn frame<'w, B: Sequence>(
    mut site: Site<'_, 'w, B>,
    modules: &[Module],
) -> Result<Frame<'w, B, Any<B>>, BuildError<B::Error>> {
    let stem = Stem {
        tokens: table(&mut site, modules::Table::Tokens)?.ok_or_else(|| no_table(&site))?,
        padding: site.architecture.padding(),
        positions: table(&mut site, modules::Table::Positions)?,
        types: table(&mut site, modules::Table::Types)?,
        norm: maybe_norm(&mut site, NormRole::Embeddings)?,
    };
    let norm = maybe_norm(&mut site, NormRole::Last)?;
    let angles = angles_of(&mut site)?;
    let head = head(&mut site, modules)?;
    Ok(Frame { stem, angles, norm, head, ws: site.ws })
}

fn no_table<B: Sequence>(site: &Site<'_, '_, B>) -> BuildError<B::Error> {
    let path = site.architecture.path.clone();
    BuildError::Hub(crate::HubError::Missing { path, tensor: "embeddings of tokens".into() })
}

fn maybe_norm<B: Sequence>(
    site: &mut Site<'_, '_, B>,
    role: NormRole,
) -> Result<Option<decora::transformer::Normalizer<B>>, BuildError<B::Error>> {
    let kind = Kind::Norm { role, block: None };
    let there = site.architecture.named().iter().any(|named| named.kind == kind);
    there.then(|| norm(site, role, None)).transpose()
}

fn table<'w, B: Sequence>(
    site: &mut Site<'_, 'w, B>,
    which: modules::Table,
) -> Result<Option<Table<'w, B>>, BuildError<B::Error>> {
    let named = site.architecture.named();
    let found = named.iter().find_map(|named| match named.kind {
        Kind::Table { role, rows } if role == which => Some((&named.path, rows)),
        _ => None,
    });
    let Some((path, rows)) = found else { return Ok(None) };
    let matrix = site.tensors.matrix(&format!("{path}.weight"), rows, site.shape.width)?;
    let trained = site.trained();
    Ok(Some(Table::new(site.be, matrix, trained.is_some(), trained.unwrap_or(0))?))
}

fn angles_of<B: Sequence>(
    site: &mut Site<'_, '_, B>,
) -> Result<Option<Angles<B>>, BuildError<B::Error>> {
    let Positions::Rope(rope) = site.architecture.positions else { return Ok(None) };
    let frequencies = rope.frequencies();
    let mut rows = vec![decora::backend::AccumOf::<B>::default(); site.sizes.positions * rope.dim];
    for (position, row) in rows.chunks_mut(rope.dim).enumerate() {
        angles(position, &frequencies, rope.amplitude(), row);
    }
    Ok(Some(Angles::new(site.be, &rows, rope.dim)?))
}

/// Whether the network scores sequences. Networks without a head are built as such, too: their states
/// can be read, and they need no head as large as a vocabulary for it.
pub(super) fn classifies(architecture: &Architecture) -> bool {
    architecture.head != config::Head::Language
}

fn head<'w, B: Sequence>(
    site: &mut Site<'_, 'w, B>,
    modules: &[Module],
) -> Result<Head<'w, B, Any<B>>, BuildError<B::Error>> {
    let find = |role| modules.iter().find(|module| module.role == role);
    let rows = |site: &Site<'_, 'w, B>, module: &Module| rows_of(module, &site.shape);
    match (find(Role::Head), find(Role::Classifier)) {
        (Some(module), _) if !tensors::tied(site.architecture, module) => {
            let rows = rows(site, module);
            Ok(Head::Tokens(site.layer(module, rows)?))
        }
        (_, Some(module)) => {
            let count = rows(site, module);
            let pooler = find(Role::Pooler).map(|pooler| site.layer(pooler, count)).transpose()?;
            Ok(Head::Classes { pooler, classifier: site.layer(module, count)? })
        }
        (Some(_), None) => Ok(Head::Tied),
        (None, None) => Ok(Head::None),
    }
}

/// The most rows that go through a layer at once.
pub(super) const fn rows_of(module: &Module, shape: &Shape) -> usize {
    match module.role {
        Role::Head => shape.chunk,
        Role::Classifier | Role::Pooler => shape.sequences,
        _ => shape.rows,
    }
}

pub(super) const fn activation(of: config::Activation) -> Activation {
    match of {
        config::Activation::Silu => Activation::Silu,
        config::Activation::Gelu => Activation::Gelu,
        config::Activation::GeluTanh => Activation::GeluTanh,
        config::Activation::Relu => Activation::Relu,
    }
}
