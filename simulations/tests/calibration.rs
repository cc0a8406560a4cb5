//! Links as frames against links as QUIC: the model of a connection, and the measure of distance.

use khlong_crdt::time::Monotonic;
use khlong_simulations::calibrate::distance::kolmogorov_smirnov;
use khlong_simulations::calibrate::plan::CLASSES;
use khlong_simulations::kernel::seeds::Seeds;
use khlong_simulations::links::PipeSpec;
use khlong_simulations::links::flow::{
    ACK_FRAME_BYTES, ACK_PACKET_BYTES, Flow, HANDSHAKE_PACKET_BYTES, MAX_ACK_DELAY_US,
    PACKET_HEADER_BYTES, STREAM_HEADER_BYTES,
};
use khlong_simulations::units::{Rate, Size, Span};

const PROPAGATION_US: u64 = 10_000;
const FRAME_BYTES: u64 = 100;
const ALONE_BYTES: u64 = PACKET_HEADER_BYTES + STREAM_HEADER_BYTES + FRAME_BYTES;

/// A bit takes a microsecond.
fn way() -> PipeSpec {
    PipeSpec {
        rate: Rate(1_000_000),
        propagation: Span(PROPAGATION_US),
        jitter: Span(0),
        loss: 0.0,
        queue: Size(64_000),
    }
}

fn flow() -> Flow {
    Flow::new(way(), way(), Monotonic(0))
}

/// Sends frames: when, whether towards the client; the bytes that left.
fn bytes_of(flow: &mut Flow, frames: &[(u64, bool)]) -> u64 {
    let mut random = Seeds::new(1).stream("test", "");
    for (at, back) in frames {
        flow.send(Monotonic(*at), *back, FRAME_BYTES, 1, &mut random);
    }
    flow.take_bytes()
}

#[test]
fn a_frame_takes_its_packet_and_the_way() {
    let mut random = Seeds::new(1).stream("test", "");
    let sent = flow().send(Monotonic(0), false, FRAME_BYTES, 1, &mut random);
    assert_eq!(sent.arrival, Monotonic(ALONE_BYTES * 8 + PROPAGATION_US));
    assert_eq!(sent.lost_bytes, 0);
}

#[test]
fn frames_of_one_moment_share_a_packet() {
    let together = bytes_of(&mut flow(), &[(0, false), (0, false)]);
    assert_eq!(together, ALONE_BYTES + STREAM_HEADER_BYTES + FRAME_BYTES);
    let apart = bytes_of(&mut flow(), &[(0, false), (1, false)]);
    assert_eq!(apart, 2 * ALONE_BYTES);
}

#[test]
fn an_acknowledgement_rides_along_or_leaves_by_itself() {
    let arrival = ALONE_BYTES * 8 + PROPAGATION_US;
    let in_time = arrival + MAX_ACK_DELAY_US - 1;
    let rides = bytes_of(&mut flow(), &[(0, false), (in_time, true)]);
    assert_eq!(rides, 2 * ALONE_BYTES + ACK_FRAME_BYTES);
    let late = arrival + MAX_ACK_DELAY_US;
    let leaves = bytes_of(&mut flow(), &[(0, false), (late, true)]);
    assert_eq!(leaves, 2 * ALONE_BYTES + ACK_PACKET_BYTES);
    // The second packet is acknowledged at once.
    let twice = bytes_of(&mut flow(), &[(0, false), (1, false), (in_time, true)]);
    assert_eq!(twice, 3 * ALONE_BYTES + ACK_PACKET_BYTES);
}

/// As the client of a real handshake gives up: a link that loses everything is no link.
#[test]
fn a_handshake_ends_at_its_deadline() {
    let deadline = Monotonic(4_000_000);
    let mut random = Seeds::new(1).stream("test", "");
    let mut good = flow();
    let over = good.handshake(Monotonic(0), deadline, 1, &mut random);
    let round_trip = 2 * (HANDSHAKE_PACKET_BYTES * 8 + PROPAGATION_US);
    assert_eq!(over, Some(Monotonic(round_trip)));
    let hasty = Monotonic(round_trip - 1);
    assert_eq!(flow().handshake(Monotonic(0), hasty, 1, &mut random), None);

    let void = PipeSpec { loss: 1.0, ..way() };
    let mut flow = Flow::new(void, way(), Monotonic(0));
    assert_eq!(flow.handshake(Monotonic(0), deadline, 1, &mut random), None);
    // At 0, 1 and 3 s, about; the next one would leave at 7 s.
    assert_eq!(flow.take_bytes(), 3 * HANDSHAKE_PACKET_BYTES);
}

#[test]
fn the_distance_of_two_samples_is_the_greatest_gap() {
    let one = [1.0, 2.0, 3.0, 4.0];
    assert_eq!(kolmogorov_smirnov(&one, &one), 0.0);
    assert_eq!(kolmogorov_smirnov(&one, &[5.0, 6.0]), 1.0);
    assert_eq!(kolmogorov_smirnov(&one, &[2.0, 3.0, 4.0, 5.0]), 0.25);
    assert_eq!(
        kolmogorov_smirnov(&[1.0, 1.0, 2.0], &[1.0, 2.0, 2.0]),
        1.0 / 3.0
    );
    assert_eq!(kolmogorov_smirnov(&one, &[]), 1.0);
}

#[test]
fn every_class_has_enough_deliveries_to_tell_five_percent_apart() {
    for class in CLASSES {
        let plan = class.plan(Seeds::new(1));
        let deliveries: usize = plan
            .messages
            .iter()
            .map(|message| plan.receivers(message).count().min(1))
            .sum();
        // Two samples of one distribution differ by more than 1.63·√(2/n) in one case of a hundred.
        // Deliveries of one message are not independent, so each message counts once.
        assert!(deliveries >= 2_200, "{}: {deliveries}", class.name);
    }
}
