//! The two tables of the report.

use super::Report;
use super::summary::{Cloud, Figures, Row, in_the_paper};
use super::table::{Table, percent, thousands};

const NONE: &str = "–";

/// Accuracies, sizes and times. Times are those of the CPU, unless their column names a device.
#[must_use]
pub fn results(report: &Report) -> Table {
    let time = match report.hardware.is_cpu() {
        true => "step µs".to_owned(),
        false => format!("step µs, {}", report.hardware.name),
    };
    let mut table = Table::new([
        "method",
        "rank",
        "new user %",
        "old users %",
        "trained",
        "adapter bytes",
        &time,
        "DoRA/LoRA time",
    ]);
    for row in &report.figures.rows {
        table.push(cells(row));
    }
    table
}

fn cells(row: &Row) -> [String; 8] {
    let name = row.variant.map_or("no adaptation", |v| v.method.name());
    let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
    [
        name.to_owned(),
        or_none(row.variant.and_then(|v| v.rank).map(|r| r.to_string())),
        percent(&row.user),
        percent(&row.old),
        thousands(row.parameters),
        thousands(row.bytes),
        or_none(row.micros.map(|t| format!("{t:.0}"))),
        or_none(row.dora_over_lora.map(|ratio| format!("{ratio:.2}"))),
    ]
}

/// ΔM, ΔD and their correlations.
#[must_use]
pub fn deviations(figures: &Figures) -> Table {
    let mut table = Table::new([
        "method",
        "rank",
        "ΔM at the end",
        "ΔD at the end",
        "correlation",
        "within layers",
        "at the end",
        "in the paper",
    ]);
    for cloud in &figures.clouds {
        table.push(cloud_cells(cloud));
    }
    table
}

fn cloud_cells(cloud: &Cloud) -> [String; 8] {
    [
        cloud.variant.method.name().to_owned(),
        cloud.variant.rank.map_or_else(|| NONE.to_owned(), |r| r.to_string()),
        format!("{:.4}", cloud.magnitude),
        format!("{:.4}", cloud.direction),
        signed(cloud.correlation),
        signed(cloud.within_layers),
        signed(cloud.at_the_end),
        signed(in_the_paper(cloud.variant.method)),
    ]
}

/// A correlation, with a true minus sign.
#[must_use]
pub fn signed(r: Option<f64>) -> String {
    r.map_or_else(|| NONE.to_owned(), |r| format!("{r:+.2}").replace('-', "−"))
}
