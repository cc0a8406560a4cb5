//! Amounts as text: exact, whatever the asset's scale.

/// `1234.50` for 123450 at scale 2; no point at scale 0, and no separators.
#[must_use]
pub fn decimal(amount: u128, scale: u8) -> String {
    let places = usize::from(scale);
    // At least one digit before the point.
    let digits = format!("{amount:0>width$}", width = places + 1);
    match digits
        .len()
        .checked_sub(places)
        .map(|at| digits.split_at(at))
    {
        Some((whole, part)) if places > 0 => format!("{whole}.{part}"),
        Some(_) | None => digits,
    }
}

/// `credits − debits`, negative if more was debited.
pub(super) fn balance(credits: u128, debits: u128, scale: u8) -> String {
    let text = decimal(credits.abs_diff(debits), scale);
    if debits > credits {
        format!("-{text}")
    } else {
        text
    }
}
