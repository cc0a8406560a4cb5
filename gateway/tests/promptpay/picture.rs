//! Pictures, read again by a decoder of others.

use khlong_gateway::domains::promptpay::{LocalNames, Picture, PictureError};
use rqrr::PreparedImage;

use crate::vectors::PUBLISHED;

/// What stands in the only code of a picture of pixels, and its level of error correction.
fn read(width: usize, height: usize, is_dark: impl Fn(usize, usize) -> bool) -> (String, u16) {
    let shade = |x, y| if is_dark(x, y) { 0 } else { 255 };
    let mut image = PreparedImage::prepare_from_greyscale(width, height, shade);
    let grids = image.detect_grids();
    assert_eq!(grids.len(), 1, "one code");
    let (meta, text) = grids.first().unwrap().decode().unwrap();
    (text, meta.ecc_level)
}

/// By a decoder of PNG, and with a white border as wide as a reader may ask for.
pub(crate) fn read_png(file: &[u8]) -> String {
    let decoder = png::Decoder::new(std::io::Cursor::new(file));
    let mut reader = decoder.read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    let (width, line) = (info.width as usize, info.line_size);
    let is_dark = |x: usize, y: usize| {
        let byte = bytes.get(y * line + x / 8).unwrap();
        byte >> (7 - x % 8) & 1 == 0
    };
    for at in 0..4 * 8 {
        for along in 0..width {
            assert!(!is_dark(at, along) && !is_dark(along, at), "the quiet zone");
            assert!(!is_dark(width - 1 - at, along), "the quiet zone");
        }
    }
    let (text, level) = read(width, info.height as usize, is_dark);
    assert_eq!(level, 0, "level M, by the number of ISO/IEC 18004");
    text
}

/// The runs of the path of an SVG, drawn with four pixels a module.
pub(crate) fn read_svg(file: &str) -> String {
    let side: usize = between(file, "viewBox=\"0 0 ", " ").parse().unwrap();
    let mut dark = vec![false; side * side];
    let path = between(file, "fill=\"#000\" d=\"", "\"");
    for run in path.split('M').skip(1) {
        let (column, rest) = run.split_once(' ').unwrap();
        let (row, rest) = rest.split_once('h').unwrap();
        let length: usize = rest.split_once('v').unwrap().0.parse().unwrap();
        let start = row.parse::<usize>().unwrap() * side + column.parse::<usize>().unwrap();
        dark.get_mut(start..start + length).unwrap().fill(true);
    }
    let is_dark = |x: usize, y: usize| *dark.get(y / 4 * side + x / 4).unwrap();
    read(side * 4, side * 4, is_dark).0
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap();
    rest.split_once(after).unwrap().0
}

/// Half blocks, light ones drawn.
pub(crate) fn read_terminal(text: &str) -> String {
    let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
    let side = lines.first().unwrap().len();
    let is_dark = |x: usize, y: usize| {
        let (row, column) = (y / 4, x / 4);
        let block = lines.get(row / 2).unwrap().get(column).unwrap();
        !matches!((block, row % 2), ('█', _) | ('▀', 0) | ('▄', 1))
    };
    read(side * 4, side * 4, is_dark).0
}

#[test]
fn a_real_decoder_reads_png_svg_and_terminal() {
    let mut long = (PUBLISHED.last().unwrap().payload)();
    long.name = Some("Noodle boat of the canal".to_owned());
    long.local = Some(LocalNames::thai("ก๋วยเตี๋ยวเรือริมคลอง", None));
    long.additional.insert(1, "INV-2569-000123".to_owned());
    let texts = PUBLISHED.map(|vector| vector.text.to_owned());
    for text in texts.into_iter().chain([long.encode().unwrap()]) {
        let picture = Picture::of(&text).unwrap();
        assert_eq!(read_png(&picture.png().unwrap()), text);
        assert_eq!(read_svg(&picture.svg()), text);
        assert_eq!(read_terminal(&picture.terminal()), text);
    }
}

#[test]
fn a_text_that_no_code_holds_has_no_picture() {
    assert!(Picture::of(&"ก".repeat(170)).is_ok(), "the longest payload");
    let refused = Picture::of(&"x".repeat(10_000)).unwrap_err();
    assert!(matches!(refused, PictureError::TooLong { length: 10_000 }));
}
