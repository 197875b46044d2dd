//! Results as JSON.

use serde_json::{Value, json};

use super::run::{Results, Row};
use crate::report::{Shape, Worst};

impl Results {
    /// Everything that was found, down to the shape. Numbers that are infinite are `null`.
    #[must_use]
    pub fn json(&self) -> Value {
        let Self { backend, device, against, rows } = self;
        json!({
            "backend": backend,
            "device": device,
            "against": against,
            "passed": self.ok(),
            "seconds": self.seconds(),
            "properties": rows.iter().map(of_row).collect::<Vec<_>>(),
        })
    }
}

fn of_row(Row { group, report, seconds }: &Row) -> Value {
    json!({
        "property": report.op,
        "group": group.to_string(),
        "scalar": report.scalar,
        "passed": report.ok(),
        "cases": report.cases,
        "worst": of_worst(report.worst),
        "against": report.against.map(of_worst),
        "bound": report.bound,
        "failed": report.failed,
        "failures": report.failures,
        "seconds": seconds,
        "shapes": report.shapes.iter().map(of_shape).collect::<Vec<_>>(),
    })
}

fn of_shape(Shape { label, cases, worst, against }: &Shape) -> Value {
    json!({
        "shape": label,
        "cases": cases,
        "worst": of_worst(*worst),
        "against": against.map(of_worst),
    })
}

fn of_worst(Worst { error, share }: Worst) -> Value {
    json!({ "error": error, "share": share })
}
