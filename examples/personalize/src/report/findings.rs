//! What came out, in words. Every number and every verdict follows from the figures.

use serde::Serialize;

use super::Checks;
use super::summary::{Comparison, Figures, Row, in_the_paper};
use super::tables::signed;
use crate::config::{Method, Settings, Variant};
use crate::stats::Paired;

/// A paragraph with its heading.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The heading.
    pub title: &'static str,
    /// Its sentences.
    pub text: String,
}

/// All findings.
#[must_use]
pub fn findings(settings: &Settings, figures: &Figures, checks: &Checks) -> Vec<Finding> {
    let all = [
        ("The new hand", new_hand(settings, figures)),
        ("Accuracy on the new user", accuracy(figures)),
        ("DoRA and LoRA", dora_and(Method::Lora, figures)),
        ("DoRA and full fine-tuning", dora_and(Method::Full, figures)),
        ("Forgetting", forgetting(figures)),
        ("Size and time", size_and_time(figures)),
        ("Magnitude and direction", magnitude_and_direction(figures)),
        ("Checks", checks_passed(checks)),
    ];
    let kept = all.into_iter().filter(|(_, text)| !text.is_empty());
    kept.map(|(title, text)| Finding { title, text }).collect()
}

fn new_hand(settings: &Settings, figures: &Figures) -> String {
    let Some(base) = figures.row(None) else { return String::new() };
    format!(
        "Without adaptation the network reads {} of the old users' test digits, and {} of the same \
         digits in the new user's hand: the new hand costs {} points. Means are over {}.",
        share(base.old.mean),
        share(base.user.mean),
        points(base.old.mean - base.user.mean),
        count(settings.seeds, "seed"),
    )
}

fn accuracy(figures: &Figures) -> String {
    let adapted = || figures.rows.iter().filter(|row| row.variant.is_some());
    let best = adapted().max_by(|a, b| a.user.mean.total_cmp(&b.user.mean));
    let worst = adapted().min_by(|a, b| a.user.mean.total_cmp(&b.user.mean));
    let (Some(best), Some(worst)) = (best, worst) else { return String::new() };
    let mut text = format!(
        "The highest mean accuracy on the new user is {}, by {}, with {} trained numbers",
        share(best.user.mean),
        name(best),
        best.parameters,
    );
    if best.variant == worst.variant {
        return text + ".";
    }
    text += &format!("; the lowest is {}, by {}.", share(worst.user.mean), name(worst));
    text
}

fn dora_and(other: Method, figures: &Figures) -> String {
    let pairs: Vec<&Comparison> =
        figures.comparisons.iter().filter(|c| c.second.method == other).collect();
    let sentences = pairs.iter().map(|c| {
        let rank = c.first.rank.unwrap_or(0);
        format!(
            "At rank {rank} DoRA is {} on the new user and {} on the old ones.",
            difference(&c.user),
            difference(&c.old)
        )
    });
    let sentences: Vec<String> = sentences.collect();
    if sentences.is_empty() {
        return String::new();
    }
    let clear =
        |sign: f64| pairs.iter().filter(|c| c.user.is_clear() && c.user.mean * sign > 0.0).count();
    format!(
        "{} On the new user DoRA is clearly better at {} of {} and clearly worse at {}; ± is half \
         of a 95 % confidence interval over seeds (Student's t), and a difference within it is not \
         called one.",
        sentences.join(" "),
        clear(1.0),
        count(pairs.len() as u64, "rank"),
        clear(-1.0),
    )
}

/// A paired difference, in words.
fn difference(p: &Paired) -> String {
    let Some(margin) = p.margin else {
        return format!("{} points away from it (one seed, so no interval)", points(p.mean));
    };
    let numbers = format!("{} ± {} points", points(p.mean), points(margin));
    match (p.is_clear(), p.mean > 0.0) {
        (true, true) => format!("better ({numbers}; higher in {} of {})", p.wins, p.seeds),
        (true, false) => format!("worse ({numbers}; lower in {} of {})", p.losses, p.seeds),
        (false, _) => format!("not clearly different ({numbers})"),
    }
}

fn forgetting(figures: &Figures) -> String {
    let Some(base) = figures.row(None) else { return String::new() };
    let lost = |row: &Row| base.old.mean - row.old.mean;
    let adapted = || figures.rows.iter().filter(|row| row.variant.is_some());
    let most = adapted().max_by(|a, b| lost(a).total_cmp(&lost(b)));
    let least = adapted().min_by(|a, b| lost(a).total_cmp(&lost(b)));
    let (Some(most), Some(least)) = (most, least) else { return String::new() };
    let mut text = format!(
        "Adapting to the new user costs accuracy on the old ones, whose digits no method sees \
         again: least with {} ({} points)",
        name(least),
        points(lost(least)),
    );
    if most.variant != least.variant {
        text += &format!(", most with {} ({} points)", name(most), points(lost(most)));
    }
    text + ". Whoever serves both keeps the base network and switches the adapter."
}

fn size_and_time(figures: &Figures) -> String {
    let full = figures.row(Some(Variant::of(Method::Full, 0)));
    let dora: Vec<&Row> = of(Method::Dora, figures).collect();
    let (Some(small), Some(large)) = (dora.first(), dora.last()) else { return String::new() };
    let mut text = format!("DoRA's file takes {}", count(small.bytes as u64, "byte"));
    if small.bytes != large.bytes {
        text += &format!(" at {} to {} at {}", rank(small), large.bytes, rank(large));
    }
    if let Some(full) = full {
        text += &format!(", that of full fine-tuning {}", full.bytes);
    }
    text += ". ";
    let ratios: Vec<String> = dora
        .iter()
        .filter_map(|row| Some(format!("{:.2} at {}", row.dora_over_lora?, rank(row))))
        .collect();
    if !ratios.is_empty() {
        text += &format!(
            "DoRA's training step takes this many times LoRA's (median of pairs of neighbouring \
             steps, same rank): {}. The layers are tiny, so that what DoRA adds, which grows with \
             their sides and not with their area, weighs more than in a large network.",
            ratios.join(", ")
        );
    }
    text
}

fn magnitude_and_direction(figures: &Figures) -> String {
    let mut signs = (0, 0);
    let sentences = figures.clouds.iter().filter_map(|cloud| {
        let (here, paper) = (cloud.correlation?, in_the_paper(cloud.variant.method)?);
        let same = here * paper > 0.0;
        if same {
            signs.0 += 1
        } else {
            signs.1 += 1
        }
        Some(format!(
            "{}: {} (within layers {}, at the end {}; paper {}, {} sign).",
            cloud.variant,
            signed(Some(here)),
            signed(cloud.within_layers),
            signed(cloud.at_the_end),
            signed(Some(paper)),
            if same { "same" } else { "other" },
        ))
    });
    let sentences: Vec<String> = sentences.collect();
    if sentences.is_empty() {
        return String::new();
    }
    let verdict = match signs {
        (_, 0) => "Every sign is the paper's",
        (0, _) => "No sign is the paper's",
        _ => "Some signs are the paper's and some are not",
    };
    format!(
        "Correlation of ΔM and ΔD over layers, checkpoints and seeds, as the paper measures it. {} \
         {verdict}: {} of {} agree. The paper's points are from one training of a language and \
         vision model; here both numbers start at 0 and grow with training, which alone makes them \
         rise together, and layers differ in scale.",
        sentences.join(" "),
        signs.0,
        signs.0 + signs.1,
    )
}

fn checks_passed(checks: &Checks) -> String {
    let mut text = format!(
        "In all {} the merged network answers what the adapter answers: the largest difference is \
         {:.1e} of the largest output ({:.0e} is allowed). Every adapter was written, read back, \
         and found equal bit for bit, in its parameters and in its outputs.",
        count(checks.runs as u64, "run"),
        checks.merge_difference,
        checks.merge_tolerance,
    );
    if let Some(saved) = &checks.saved {
        text += &format!(
            " The folder {} holds that of {} and seed {}, in PEFT's format.",
            super::ADAPTER,
            saved.variant,
            saved.seed
        );
    }
    text
}

fn of(method: Method, figures: &Figures) -> impl Iterator<Item = &Row> {
    figures.rows.iter().filter(move |row| row.variant.is_some_and(|v| v.method == method))
}

fn rank(row: &Row) -> String {
    format!("rank {}", row.variant.and_then(|v| v.rank).unwrap_or(0))
}

fn name(row: &Row) -> String {
    row.variant.map_or_else(|| "the base network".to_owned(), |v| v.to_string())
}

fn share(x: f64) -> String {
    format!("{:.1} %", 100.0 * x)
}

fn points(x: f64) -> String {
    format!("{:.1}", 100.0 * x).replace('-', "−")
}

fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
