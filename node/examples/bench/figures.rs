//! Figures by name, each with its samples.

use serde_json::json;

/// One quantity.
struct Figure {
    name: String,
    unit: &'static str,
    samples: Vec<f64>,
}

/// All that was measured, in the order in which it first came.
#[derive(Default)]
pub(crate) struct Figures(Vec<Figure>);

impl Figures {
    pub(crate) fn add(&mut self, name: String, unit: &'static str, sample: f64) {
        match self.0.iter_mut().find(|figure| figure.name == name) {
            Some(figure) => figure.samples.push(sample),
            None => self.0.push(Figure {
                name,
                unit,
                samples: vec![sample],
            }),
        }
    }

    /// The samples of `name`, in the order in which they came.
    pub(crate) fn samples(&self, name: &str) -> Option<&[f64]> {
        let figure = self.0.iter().find(|figure| figure.name == name)?;
        Some(&figure.samples)
    }

    /// Nothing, where nothing was measured.
    pub(crate) fn print(&mut self, as_json: bool) {
        if !as_json && !self.0.is_empty() {
            println!(
                "{:<62} {:>10} {:>10} {:>10}  {:<8} {:>2}",
                "figure", "min", "median", "max", "unit", "n"
            );
        }
        for figure in &mut self.0 {
            figure.samples.sort_by(f64::total_cmp);
            let (min, max) = (figure.at(0.0), figure.at(1.0));
            let (median, n) = (figure.at(0.5), figure.samples.len());
            let (name, unit) = (&figure.name, figure.unit);
            if as_json {
                let line = json!({
                    "schema_version": 1, "figure": name, "unit": unit,
                    "min": min, "median": median, "max": max, "n": n,
                });
                println!("{line}");
            } else {
                let number = |value: f64| match value {
                    small if small < 100.0 => format!("{small:.2}"),
                    large => format!("{large:.0}"),
                };
                println!(
                    "{name:<62} {:>10} {:>10} {:>10}  {unit:<8} {n:>2}",
                    number(min),
                    number(median),
                    number(max)
                );
            }
        }
    }
}

impl Figure {
    fn at(&self, share: f64) -> f64 {
        quantile(&self.samples, share)
    }
}

/// Of ascending values: the smallest that at least `share` of them do not exceed.
pub(crate) fn quantile(ascending: &[f64], share: f64) -> f64 {
    let rank = (ascending.len() as f64 * share).ceil() as usize;
    let index = rank
        .saturating_sub(1)
        .min(ascending.len().saturating_sub(1));
    ascending.get(index).copied().unwrap_or(f64::NAN)
}
