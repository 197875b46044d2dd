//! Every setup, with weights in single and in half precision: what it achieves, and what it costs.

use super::AppError;
use crate::adapt::{score, train};
use crate::base::Base;
use crate::board::{Board, Event};
use crate::data::{OWNER, Precision, TEST_OWNER};
use crate::learner::{Any, Learner};
use crate::setup::{Setup, training};

/// Adapts with each setup, from the beginning to the end, and logs a row for each.
///
/// # Errors
/// What the library answers.
pub fn run<B: Board>(board: &mut B, arena: &mut [f32]) -> Result<(), AppError> {
    for precision in [Precision::Single, Precision::Half] {
        let base = Base::parse(precision.base())?;
        for setup in &Setup::EACH {
            row(board, &mut *arena, &base, (precision, setup))?;
        }
    }
    Ok(())
}

/// Adapts from the beginning to the end; accuracy must rise.
fn row<B: Board>(
    board: &mut B,
    arena: &mut [f32],
    base: &Base<'_>,
    (precision, setup): (Precision, &Setup),
) -> Result<(), AppError> {
    let mut place = None::<Learner<'_, Any<'_>>>;
    let learner = Learner::start(&mut place, arena, base, setup, training())?;
    let before = score(learner, TEST_OWNER)?;
    let run = train(board, learner, OWNER)?;
    let start = board.instructions();
    let after = score(learner, TEST_OWNER)?;
    let mut cost = run.cost(setup.words());
    cost.inference = (board.instructions() - start) as u32 / after.of.max(1);
    let (setup, weights) = (setup.name, precision.name());
    board.log(&Event::Adapted { setup, weights, before, after });
    board.log(&Event::Spent(cost));
    board.log(&Event::Check { what: "accuracy rose", holds: after.right > before.right });
    Ok(())
}
