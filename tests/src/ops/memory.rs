//! alloc, write, read.

use decora::backend::{Backend, Elem};
use decora::buffer::{Acc, Act, Buffer, Index, Role};
use decora::scalar::Element;

use super::order;
use crate::against::Make;
use crate::expected::Expected;
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

const LENGTHS: [usize; 8] = [0, 1, 3, 17, 64, 65, 4099, 65_537];

/// `len` elements, all zero, also where memory was used before.
#[must_use]
pub fn alloc<B: Backend>(make: Make<'_, B>) -> Report {
    property("alloc", make, &|t| {
        zeros::<B, Acc>(t)?;
        zeros::<B, Act>(t)?;
        zeros::<B, Index>(t)
    })
}

fn zeros<B: Backend, R: Role>(t: &mut Trial<B>) -> Outcome<B> {
    for len in LENGTHS {
        t.shape(&[len]);
        let case = (R::KIND, len);
        for _ in 0..2 {
            let mut buf = t.be.alloc::<R>(len)?;
            t.require(&case, buf.len() == len && buf.is_empty() == (len == 0), "another length");
            let found = t.get::<R>(&buf)?;
            t.check_values::<R>(&case, &found, &|_| Expected::exactly(0.0));
            let used = vec![Elem::<B, R>::store(7.0f64); len];
            t.be.write::<R>(&mut buf, 0, &used)?;
        }
    }
    Ok(())
}

/// Elements from `offset` on are those of the source, the others stay; a source that reaches
/// beyond the buffer is refused.
#[must_use]
pub fn write<B: Backend>(make: Make<'_, B>) -> Report {
    property("write", make, &|t| {
        written::<B, Acc>(t)?;
        written::<B, Act>(t)?;
        written::<B, Index>(t)
    })
}

/// A source of whole numbers, which every role holds exactly.
fn numbers<B: Backend, R: Role>(first: usize, len: usize) -> Vec<Elem<B, R>> {
    (first..first + len).map(|x| Element::store((x % 127) as f64)).collect()
}

fn written<B: Backend, R: Role>(t: &mut Trial<B>) -> Outcome<B> {
    for (len, offset, some) in [(1, 0, 1), (7, 2, 3), (7, 7, 0), (65, 1, 64), (130, 63, 66)] {
        t.shape(&[len]);
        let old: Vec<f64> = (0..len).map(|x| (x % 101) as f64).collect();
        let mut out = t.whole::<R>(&old)?;
        t.be.write::<R>(&mut out.buf, offset, &numbers::<B, R>(50, some))?;
        let found = t.get::<R>(&out.buf)?;
        t.check_values::<R>(&(R::KIND, len, offset, some), &found, &|i| {
            let new = (offset..offset + some).contains(&i);
            Expected::exactly(if new { ((50 + i - offset) % 127) as f64 } else { old[i] })
        });
    }
    let mut out = t.whole::<R>(&[1.0, 2.0, 3.0])?;
    for (offset, some) in [(0, 4), (2, 2), (4, 0), (usize::MAX, 2)] {
        let far = t.be.write::<R>(&mut out.buf, offset, &numbers::<B, R>(9, some));
        t.refused(&format!("{some} elements written at {offset} of 3"), far, &out)?;
    }
    Ok(())
}

/// The elements from `offset` on, as all earlier operations left them; nothing when the
/// destination reaches beyond the buffer.
#[must_use]
pub fn read<B: Backend>(make: Make<'_, B>) -> Report {
    property("read", make, &|t| {
        parts::<B, Acc>(t)?;
        parts::<B, Act>(t)?;
        parts::<B, Index>(t)?;
        order::every_step_read(t)?;
        order::nothing_read_before_the_end(t)?;
        order::dropped_before_the_end(t)
    })
}

fn parts<B: Backend, R: Role>(t: &mut Trial<B>) -> Outcome<B> {
    t.shape(&[130]);
    let all: Vec<f64> = (0..130).map(|x| (x % 113) as f64).collect();
    let from = t.whole::<R>(&all)?;
    for (offset, some) in [(0, 130), (1, 1), (3, 64), (65, 65), (129, 1), (130, 0)] {
        let mut part = numbers::<B, R>(1, some);
        t.be.read::<R>(&from.buf, offset, &mut part)?;
        let found: Vec<f64> = part.iter().map(|e| e.load()).collect();
        t.check_values::<R>(&(R::KIND, offset), &found, &|i| Expected::exactly(all[offset + i]));
    }
    for (offset, some) in [(0, 131), (129, 2), (131, 0), (usize::MAX, 2)] {
        let mut part = numbers::<B, R>(1, some);
        let far = t.be.read::<R>(&from.buf, offset, &mut part);
        t.refused(&format!("{some} elements read at {offset} of 130"), far, &from)?;
        let kept = part == numbers::<B, R>(1, some);
        t.require(&(offset, some), kept, "something was read all the same");
    }
    Ok(())
}
