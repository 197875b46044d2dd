//! `index.html`: the whole report on one page, with nothing to load from elsewhere.

use super::Report;
use super::plot::Plots;
use super::tables;
use crate::config::{BATCH, Method};

const STYLE: &str = include_str!("style.css");

/// The page.
#[must_use]
pub fn page(report: &Report, plots: &Plots) -> String {
    let figures = &report.figures;
    let findings: String = report
        .findings
        .iter()
        .map(|f| format!("<h3>{}</h3>\n<p>{}</p>\n", escape(f.title), escape(&f.text)))
        .collect();
    let shown = report.settings.shown_rank();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{TITLE}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <header><h1>{TITLE}</h1>\n<p class=\"lead\">{lead}</p></header>\n\
         <section>\n<h2>Results</h2>\n<div class=\"scroll\">{results}</div>\n\
         <p class=\"note\">Mean ± standard deviation over {seeds}. Times are medians, measured \
         alone on the machine, the methods taking turns.</p>\n</section>\n\
         <section>\n<h2>Figures</h2>\n{accuracy}{loss}{deviation}{hands}</section>\n\
         <section>\n<h2>Findings</h2>\n{findings}</section>\n\
         <section>\n<h2>Magnitude and direction</h2>\n<div class=\"scroll\">{deviations}</div>\n\
         </section>\n<section>\n<h2>How it was done</h2>\n{how}</section>\n</main>\n</body>\n</html>\n",
        lead = lead(report),
        results = tables::results(report).html(),
        seeds = plural(report.settings.seeds),
        accuracy = figure(&plots.accuracy, &accuracy_caption(report)),
        loss = figure(
            &plots.loss,
            &format!(
                "Loss on the new user's samples during adaptation (rank {shown} where there is \
                 one): geometric mean of all seeds, and one standard deviation of its logarithm."
            )
        ),
        deviation = figure(
            &plots.deviation,
            &format!(
                "How far magnitudes (ΔM) and directions (ΔD) of each layer moved, at four \
                 checkpoints of every seed, with the least-squares line over all points (rank \
                 {shown} where there is one). Each panel has its own axes."
            )
        ),
        hands = figure(
            &plots.hands,
            "Test digits of the old users, and the same in the new user's hand."
        ),
        deviations = tables::deviations(figures).html(),
        how = how(report),
    )
}

const TITLE: &str = "A network learns a new user’s hand";

fn lead(report: &Report) -> String {
    let methods: Vec<&str> = report.settings.methods.iter().map(|m| m.name()).collect();
    format!(
        "A small network that reads handwritten digits meets a user who writes differently, and \
         gets {} labelled samples. Compared, on equal terms: {}.",
        report.images.samples,
        methods.join(", ")
    )
}

fn accuracy_caption(report: &Report) -> String {
    let base = report.figures.row(None).map_or(0.0, |row| row.user.mean);
    format!(
        "Accuracy after adaptation, mean and standard deviation over seeds. Without adaptation the \
         new user's is {:.1} %. Bands: methods without a rank.",
        100.0 * base
    )
}

fn how(report: &Report) -> String {
    let Report { hand, images, settings, hardware, .. } = report;
    let rates: Vec<String> =
        settings.methods.iter().map(|m: &Method| format!("{} {:e}", m.name(), m.lr())).collect();
    format!(
        "<p>Data: {} images of 8×8 pixels from the UCI repository, Optical Recognition of \
         Handwritten Digits (E. Alpaydin, C. Kaynak, 1998; CC BY 4.0). Each seed splits them anew: \
         {} train the base network, {} are the new user's samples, {} test both old and new users. \
         The new user leans digits by {} pixels per pixel of height, turns them {}° clockwise and \
         uses a pen wider by a share of {}.</p>\n\
         <p>Network: a perceptron {}, ReLU, with an adapter on each layer; the base is trained for \
         {} steps. Adaptation: {} steps of {} samples, AdamW, a tenth of the steps to warm up, then \
         linearly to 0; α = 2r. Learning rates: {}, each found on other seeds than these \
         (<code>--tune</code>). Seeds 1 to {}: none was chosen.</p>\n\
         <p>Computed by backend {}: {}.</p>\n",
        images.all,
        images.train,
        images.samples,
        images.test,
        hand.slant,
        hand.degrees,
        hand.stroke,
        report.widths.map(|w| w.to_string()).join("–"),
        settings.base_steps,
        settings.steps,
        BATCH,
        rates.join(", "),
        settings.seeds,
        hardware.backend,
        escape(&hardware.to_string()),
    )
}

fn figure(svg: &str, caption: &str) -> String {
    match svg.is_empty() {
        true => String::new(),
        false => {
            format!("<figure>\n{svg}\n<figcaption>{}</figcaption>\n</figure>\n", escape(caption))
        }
    }
}

fn plural(seeds: u64) -> String {
    format!("{seeds} seed{}", if seeds == 1 { "" } else { "s" })
}

/// Text that HTML shows as it is.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
