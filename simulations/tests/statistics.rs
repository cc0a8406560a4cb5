//! Statistics against values worked out by hand or taken from published tables.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]
#![expect(clippy::float_arithmetic, reason = "shares and means")]

use khlong_simulations::statistics::{
    Delay::{Censored, Seen},
    Steps, mean, paired_difference, quantile, student_t,
};

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9
}

#[test]
fn the_t_quantile_is_that_of_the_tables() {
    for (degrees, value) in [
        (1, 12.706_204_736_4),
        (4, 2.776_445_105_2),
        (19, 2.093_024_054_4),
        (100, 1.983_971_518_5),
    ] {
        assert!(
            (student_t(degrees, 0.95) - value).abs() < 1e-6,
            "{degrees}: {}",
            student_t(degrees, 0.95)
        );
    }
}

#[test]
fn a_mean_has_n_and_an_interval() {
    // 2 4 4 4 5 5 7 9: mean 5, sum of squares 32, s = sqrt(32/7).
    let of_eight = mean(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
    assert_eq!(of_eight.n, 8);
    assert!(near(of_eight.mean, 5.0));
    let half = 2.364_624_251_6 * (32.0_f64 / 7.0).sqrt() / 8.0_f64.sqrt();
    assert!((of_eight.ci95.unwrap() - half).abs() < 1e-6);
    assert_eq!(mean(&[3.0]).unwrap().ci95, None);
    assert_eq!(mean(&[]), None);
}

#[test]
fn paired_differences_cancel_what_the_pairs_share() {
    let baseline = [10.0, 20.0, 30.0];
    let difference = paired_difference(&[11.0, 21.0, 31.0], &baseline).unwrap();
    assert!(near(difference.mean, 1.0) && near(difference.ci95.unwrap(), 0.0));
    assert_eq!(paired_difference(&[1.0], &baseline), None);
}

#[test]
fn quantiles_lie_between_order_statistics() {
    let values = [1.0, 2.0, 4.0, 8.0];
    assert_eq!(quantile(&values, 0.0), Some(1.0));
    assert_eq!(quantile(&values, 0.5), Some(3.0));
    assert_eq!(quantile(&values, 1.0), Some(8.0));
    assert!(near(quantile(&values, 0.9).unwrap(), 6.8));
    assert_eq!(quantile(&[], 0.5), None);
}

#[test]
fn kaplan_meier_gives_the_published_example() {
    // Freireich et al. 1963, 6-MP arm, as in Cox and Oakes (1984), table 1.1.
    let delays = [
        Seen(6.0),
        Seen(6.0),
        Seen(6.0),
        Censored(6.0),
        Seen(7.0),
        Censored(9.0),
        Seen(10.0),
        Censored(10.0),
        Censored(11.0),
        Seen(13.0),
        Seen(16.0),
        Censored(17.0),
        Censored(19.0),
        Censored(20.0),
        Seen(22.0),
        Seen(23.0),
        Censored(25.0),
        Censored(32.0),
        Censored(32.0),
        Censored(34.0),
        Censored(35.0),
    ];
    let cdf = Steps::kaplan_meier(&delays);
    let survival = [
        (6.0, 0.8571),
        (7.0, 0.8067),
        (10.0, 0.7529),
        (13.0, 0.6902),
        (16.0, 0.6275),
        (22.0, 0.5378),
        (23.0, 0.4482),
    ];
    assert_eq!(cdf.steps.len(), survival.len());
    for ((delay, share), (at, left)) in cdf.steps.iter().zip(survival) {
        assert_eq!(*delay, at);
        assert!((1.0 - share - left).abs() < 5e-5, "{delay}: {share}");
    }
    assert_eq!(cdf.at(5.9), 0.0);
    assert_eq!(cdf.at(6.5), cdf.at(6.0));
    assert_eq!(cdf.quantile(0.5), Some(23.0));
    assert_eq!(cdf.quantile(0.9), None, "censored before that");
    // Without censoring it is the empirical distribution.
    let empirical = Steps::empirical(&[3.0, 1.0, 1.0, 2.0]);
    assert_eq!(empirical.steps, [(1.0, 0.5), (2.0, 0.75), (3.0, 1.0)]);
}

#[test]
fn leaving_out_the_censored_would_look_faster() {
    let mut delays = vec![Seen(1.0); 50];
    delays.extend(vec![Censored(100.0); 50]);
    assert_eq!(Steps::kaplan_meier(&delays).at(99.0), 0.5);
}

#[test]
fn the_kolmogorov_smirnov_distance_is_the_greatest_gap() {
    let one = Steps::empirical(&[1.0, 2.0, 3.0, 4.0]);
    let other = Steps::empirical(&[1.0, 2.0, 7.0, 8.0]);
    assert!(near(one.distance(&other), 0.5));
    assert!(near(one.distance(&one), 0.0));
    let apart = Steps::empirical(&[10.0, 11.0]);
    assert!(near(apart.distance(&one), 1.0));
}
