//! A page with both distribution functions of each class, drawn here: no script, no resource.

#![expect(clippy::float_arithmetic, reason = "coordinates of a picture")]

use std::fmt::Write as _;

use super::Row;
use super::print::{cells, heads, verdict};

const STYLE: &str = include_str!("../report/page.css");
/// Of a picture, in its own units.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 44.0;
const BOTTOM: f64 = 34.0;
/// Points of a drawn curve: more than a screen shows.
const POINTS: usize = 400;

/// The page.
#[must_use]
pub fn html(rows: &[Row], seed: u64) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>calibration · khlong-sim</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>Links as frames, links as QUIC</h1>\n\
         <p class=\"facts\">The same plan in both fidelities, seed {seed}. A row passes with a Kolmogorov–Smirnov \
         distance of at most {} and bytes within {:.0} %.</p>\n</header>\n<main>\n",
        super::DISTANCE_MAX,
        super::BYTES_MAX * 100.0
    );
    let _ = writeln!(
        page,
        "<section><h2>Verdicts</h2>\n<div class=\"scroll\"><table>\n<tr>{}<th>verdict</th></tr>",
        heads().map(|head| format!("<th>{head}</th>")).concat()
    );
    for row in rows {
        let cells = cells(row).map(|cell| format!("<td>{cell}</td>")).concat();
        let _ = writeln!(page, "<tr>{cells}<td>{}</td></tr>", verdict(row.passed));
    }
    page.push_str("</table></div></section>\n");
    for row in rows {
        let _ = writeln!(
            page,
            "<section><h2>{}</h2>\n<p class=\"note\">{}. Share of deliveries within a delay; the axis ends at \
             the 99.5 % quantile.</p>\n{}\n<div class=\"legend\"><span style=\"--of:var(--c0)\">frames</span>\
             <span style=\"--of:var(--c1)\">QUIC</span></div></section>",
            row.class,
            row.about,
            picture(row)
        );
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// Both curves as rows: class, fidelity, delay in seconds, share of deliveries within it.
#[must_use]
pub fn curves_csv(rows: &[Row]) -> String {
    let mut text = "class,fidelity,delay_s,share\n".to_owned();
    for row in rows {
        for (name, sample) in ["frames", "quic"].into_iter().zip(&row.samples) {
            for (delay, share) in steps(&sample.delays_s) {
                let _ = writeln!(text, "{},{name},{delay:.6},{share:.6}", row.class);
            }
        }
    }
    text
}

/// An empirical distribution function, thinned to [`POINTS`] steps.
fn steps(ascending: &[f64]) -> impl Iterator<Item = (f64, f64)> {
    let count = ascending.len();
    let every = count.div_ceil(POINTS).max(1);
    ascending
        .iter()
        .enumerate()
        .filter(move |(place, _)| (place + 1) % every == 0 || place + 1 == count)
        .map(move |(place, delay)| (*delay, (place + 1) as f64 / count as f64))
}

fn picture(row: &Row) -> String {
    let right = row
        .samples
        .iter()
        .filter_map(|sample| crate::statistics::quantile(&sample.delays_s, 0.995))
        .fold(0.0_f64, f64::max)
        .max(1e-6);
    let x = |delay: f64| LEFT + (delay.min(right) / right) * (WIDTH - LEFT - 8.0);
    let y = |share: f64| 8.0 + (1.0 - share) * (HEIGHT - BOTTOM - 8.0);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"distribution of delays\">"
    );
    for quarter in 0..=4_u32 {
        let part = f64::from(quarter) / 4.0;
        let (level, place) = (y(part), x(part * right));
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {level:.1}H{WIDTH}\"/><text x=\"4\" y=\"{:.1}\">{part:.2}</text>\
             <text x=\"{place:.1}\" y=\"{:.1}\" text-anchor=\"{}\">{:.0} ms</text>",
            level + 4.0,
            HEIGHT - 10.0,
            if quarter == 4 { "end" } else { "middle" },
            part * right * 1e3
        );
    }
    for (place, sample) in row.samples.iter().enumerate() {
        let mut line = format!("M{:.1} {:.1}", x(0.0), y(0.0));
        for (delay, share) in steps(&sample.delays_s) {
            let _ = write!(line, "H{:.1}V{:.1}", x(delay), y(share));
        }
        let _ = write!(
            svg,
            "<path class=\"curve\" style=\"stroke:var(--c{place})\" d=\"{line}\"/>"
        );
    }
    svg.push_str("</svg>");
    svg
}
