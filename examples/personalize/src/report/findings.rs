//! What came out, in words. Every number and every verdict follows from the figures.

use serde::Serialize;

use super::Checks;
use super::summary::{Cloud, Comparison, Figures, Row, in_the_paper};
use super::tables::signed;
use crate::config::{BATCH, Method, Settings, Variant};
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
        ("Magnitude and direction", magnitude_and_direction(settings, figures)),
        ("Checks", checks_passed(checks)),
    ];
    let kept = all.into_iter().filter(|(_, text)| !text.is_empty());
    kept.map(|(title, text)| Finding { title, text }).collect()
}

fn new_hand(settings: &Settings, figures: &Figures) -> String {
    let Some(base) = figures.row(None) else { return String::new() };
    format!(
        "Without adaptation the network reads {} of the old users' test digits, and {} of the same \
         digits in the new user's hand: the new hand costs {} points. Means are over {}. \
         A difference between two methods comes with half of its 95 % confidence interval (Student's \
         t, paired by seed), and is called one only when it is larger.",
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
    if pairs.is_empty() {
        return String::new();
    }
    let sentence = |c: &&Comparison| {
        let (user, old) = (difference(&c.user), difference(&c.old));
        format!("Rank {}: new user {user}; old users {old}.", c.first.rank.unwrap_or(0))
    };
    let sentences: Vec<String> = pairs.iter().map(sentence).collect();
    format!(
        "DoRA minus {}, in points of accuracy. {} So on the new user DoRA is {}; on the old ones \
         it is {}.",
        other.name(),
        sentences.join(" "),
        verdict(pairs.iter().map(|c| &c.user)),
        verdict(pairs.iter().map(|c| &c.old)),
    )
}

/// A paired difference, in words.
fn difference(p: &Paired) -> String {
    let Some(margin) = p.margin else {
        return format!("{} (one seed: no interval)", signed_points(p.mean));
    };
    let numbers = format!("{} ± {}", signed_points(p.mean), points(margin));
    match (p.is_clear(), p.mean > 0.0) {
        (true, true) => format!("{numbers}, better (in {} of {})", p.wins, p.seeds),
        (true, false) => format!("{numbers}, worse (in {} of {})", p.losses, p.seeds),
        (false, _) => format!("{numbers}, no clear difference"),
    }
}

/// At how many ranks a difference is clear, and which way.
fn verdict<'p>(pairs: impl Iterator<Item = &'p Paired> + Clone) -> String {
    let ranks = pairs.clone().count();
    let clear = |sign: f64| pairs.clone().filter(|p| p.is_clear() && p.mean * sign > 0.0).count();
    match (clear(1.0), clear(-1.0)) {
        (0, 0) => format!("not clearly different at any of {}", count(ranks as u64, "rank")),
        (better, 0) => format!("clearly better at {better} of {}", count(ranks as u64, "rank")),
        (0, worse) => format!("clearly worse at {worse} of {}", count(ranks as u64, "rank")),
        (better, worse) => {
            format!("clearly better at {better} and clearly worse at {worse} of {ranks} ranks")
        }
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
             steps, same rank): {}. The norms that DoRA adds cost about as much as r more samples \
             in a batch, and a batch here has only {BATCH}.",
            ratios.join(", ")
        );
    }
    text
}

/// Correlations closer to 0 than this are called none.
const NO_CORRELATION: f64 = 0.1;

fn magnitude_and_direction(settings: &Settings, figures: &Figures) -> String {
    let shown = |c: &&Cloud| c.variant.rank.is_none_or(|rank| rank == settings.shown_rank());
    let clouds: Vec<&Cloud> =
        figures.clouds.iter().filter(shown).filter(|c| c.correlation.is_some()).collect();
    if clouds.is_empty() {
        return String::new();
    }
    let sentences: Vec<String> = clouds.iter().map(|c| correlation_words(c)).collect();
    let mut text = format!(
        "Correlation of ΔM and ΔD over layers, checkpoints and seeds, as the paper measures it: {}.",
        sentences.join("; ")
    );
    if clouds.len() > 1 {
        let here = order(&clouds, |c| c.correlation);
        let paper = order(&clouds, |c| in_the_paper(c.variant.method));
        let same = if here == paper { "the same order" } else { "another order" };
        text += &format!(" From high to low: {here}; in the paper {paper}: {same}.");
    }
    text + " The paper's points are from one training of a vision and language model. Here, within \
            one layer, both numbers start at 0 and grow with training, which alone makes them rise \
            together; layers differ in scale."
}

fn correlation_words(cloud: &Cloud) -> String {
    let (here, paper) = (cloud.correlation.unwrap_or(0.0), in_the_paper(cloud.variant.method));
    let agrees = match paper {
        _ if here.abs() < NO_CORRELATION => "here none to speak of",
        Some(paper) if here * paper > 0.0 => "the same sign",
        _ => "the other sign",
    };
    format!(
        "{} {} here and {} in the paper, {agrees} (within layers {}, at the last checkpoint {})",
        cloud.variant,
        signed(cloud.correlation),
        signed(paper),
        signed(cloud.within_layers),
        signed(cloud.at_the_end),
    )
}

/// The names of the methods, the largest number first.
fn order(clouds: &[&Cloud], of: fn(&Cloud) -> Option<f64>) -> String {
    let mut sorted = clouds.to_vec();
    sorted.sort_by(|a, b| of(b).unwrap_or(0.0).total_cmp(&of(a).unwrap_or(0.0)));
    let names: Vec<&str> = sorted.iter().map(|c| c.variant.method.name()).collect();
    names.join(", ")
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

fn signed_points(x: f64) -> String {
    format!("{:+.1}", 100.0 * x).replace('-', "−")
}

fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
