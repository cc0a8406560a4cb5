//! Payloads from the tests of open libraries, with what they say.

use khlong_gateway::domains::l10n::Satang;
use khlong_gateway::domains::promptpay::{
    BankAccount, Bill, Initiation, Payload, PersonalId, Recipient,
};

pub(crate) struct Vector {
    pub(crate) text: &'static str,
    pub(crate) payload: fn() -> Payload,
}

/// The second is one of those below with one digit of another kind of code (11 for 12), which its
/// checksum notices.
pub(crate) const WRONG_CHECKSUM: [&str; 2] = [
    "00020101021229370016A0000006770101110113006680111111153037645802TH540520.156304FFFF",
    "00020101021129370016A0000006770101110413014123456789053037645406100.005802TH6304901D",
];

pub(crate) const PUBLISHED: [Vector; 7] = [
    Vector {
        text: "00020101021129370016A000000677010111011300668012345675802TH530376463046197",
        payload: || mobile("080-123-4567"),
    },
    Vector {
        text: "00020101021129370016A000000677010111021311111111111115802TH530376463047B5A",
        payload: || {
            let id = PersonalId::unchecked("1111111111111").unwrap();
            Payload::to(Recipient::PersonalId(id))
        },
    },
    Vector {
        text: "00020101021229370016A000000677010111011300660000000005802TH530376454044.226304E469",
        payload: || once(mobile("000-000-0000"), 422),
    },
    Vector {
        text: "00020101021229370016A0000006770101110113006681222333353037645802TH540530.0063043CAD",
        payload: || once(mobile("081-222-3333"), 3_000),
    },
    Vector {
        text: "00020101021229370016A0000006770101110413014123456789053037645406100.005802TH6304901D",
        payload: || {
            let account = BankAccount::new("014", "1234567890").unwrap();
            once(Payload::to(Recipient::BankAccount(account)), 10_000)
        },
    },
    Vector {
        text: "00020101021230650016A00000067701011201150994000165501000212123456789012030667042953037645802TH54073649.2263044534",
        payload: || {
            let bill = Bill {
                biller: "099400016550100".parse().unwrap(),
                reference1: Some("123456789012".parse().unwrap()),
                reference2: Some("670429".parse().unwrap()),
                is_cross_border: false,
            };
            once(Payload::to(Recipient::Bill(bill)), 364_922)
        },
    },
    Vector {
        text: "00020101021229370016A000000677010111011300668123456785303764540550.005802TH63045197",
        payload: || once(mobile("081-234-5678"), 5_000),
    },
];

fn mobile(number: &str) -> Payload {
    Payload::to(Recipient::Mobile(number.parse().unwrap()))
}

/// For one payment.
fn once(payload: Payload, satang: i64) -> Payload {
    Payload {
        initiation: Initiation::Dynamic,
        amount: Some(Satang(satang)),
        ..payload
    }
}

/// With the checksum that is right, reckoned bit by bit and not by the code that is tested.
pub(crate) fn sealed(body: &str) -> String {
    let covered = format!("{body}6304");
    let mut register = 0xFFFF_u16;
    for bit in covered
        .bytes()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1))
    {
        let is_out = register >> 15 == u16::from(bit);
        register = (register << 1) ^ if is_out { 0 } else { 0x1021 };
    }
    format!("{covered}{register:04X}")
}

/// Whether the tags come in ascending order.
pub(crate) fn is_ascending(text: &str) -> bool {
    let mut rest = text;
    let mut tags = Vec::new();
    while !rest.is_empty() {
        tags.push(rest.get(..2).unwrap());
        let length: usize = rest.get(2..4).unwrap().parse().unwrap();
        rest = rest.get(4 + length..).unwrap();
    }
    // The checksum covers a tag 64 as well, and is last all the same.
    tags.pop();
    tags.is_sorted()
}
