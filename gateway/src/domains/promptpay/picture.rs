//! A code as a picture: for a terminal, as SVG, as PNG.
//!
//! Error correction of level M, as EMVCo recommends (15 % of a code may be unreadable), and a quiet
//! zone of four modules, as ISO/IEC 18004 asks for.

use fast_qr::{ECL, QRBuilder};
use thiserror::Error;

/// Modules of white around the code.
const QUIET_ZONE_MODULES: usize = 4;

/// Pixels of a PNG along a module: 33 modules, as of a code with an amount, are 328 with their quiet zone.
const MODULE_PIXELS: usize = 8;

/// Why there is no picture.
#[derive(Debug, Error)]
pub enum PictureError {
    /// A code of the largest size does not hold the text.
    #[error("the text has {length} bytes, too many for a QR code; shorten it")]
    TooLong {
        /// Its bytes.
        length: usize,
    },
    /// The encoder of PNG failed.
    #[error("the PNG could not be made; use SVG")]
    Png(#[source] png::EncodingError),
}

/// Dark and light modules, the quiet zone included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    size: usize,
    dark: Vec<bool>,
}

impl Picture {
    /// Of a text.
    ///
    /// # Errors
    /// [`PictureError::TooLong`].
    pub fn of(text: &str) -> Result<Self, PictureError> {
        let code = QRBuilder::new(text)
            .ecl(ECL::M)
            .build()
            .map_err(|_| PictureError::TooLong { length: text.len() })?;
        let size = code.size + 2 * QUIET_ZONE_MODULES;
        let mut dark = Vec::with_capacity(size * size);
        for row in 0..size {
            for column in 0..size {
                let inside = row
                    .checked_sub(QUIET_ZONE_MODULES)
                    .zip(column.checked_sub(QUIET_ZONE_MODULES))
                    .filter(|(row, column)| *row < code.size && *column < code.size)
                    .and_then(|(row, column)| code.data.get(row * code.size + column));
                dark.push(inside.is_some_and(|module| module.value()));
            }
        }
        Ok(Self { size, dark })
    }

    /// Modules along a side, the quiet zone included.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether a module is dark. Beyond the picture all is light.
    #[must_use]
    pub fn is_dark(&self, row: usize, column: usize) -> bool {
        let is_inside = row < self.size && column < self.size;
        let at = is_inside.then(|| row * self.size + column);
        at.and_then(|at| self.dark.get(at)).copied() == Some(true)
    }

    /// Two modules a character, light ones drawn: for terminals with light text on dark. On others it
    /// is inverted, which most readers accept.
    #[must_use]
    pub fn terminal(&self) -> String {
        let mut text = String::with_capacity((self.size * 3 + 1) * self.size.div_ceil(2));
        for row in (0..self.size).step_by(2) {
            for column in 0..self.size {
                let is_last = row + 1 == self.size;
                let lower = is_last || self.is_dark(row + 1, column);
                text.push(match (self.is_dark(row, column), lower) {
                    (false, false) => '█',
                    (false, true) => '▀',
                    (true, false) => '▄',
                    (true, true) => ' ',
                });
            }
            text.push('\n');
        }
        text
    }

    /// One path of runs along each row, on white; it has no size of its own and scales to any.
    #[must_use]
    pub fn svg(&self) -> String {
        let size = self.size;
        let mut path = String::new();
        for row in 0..size {
            let mut column = 0;
            while column < size {
                let run = (column..size)
                    .take_while(|at| self.is_dark(row, *at))
                    .count();
                if run > 0 {
                    path.push_str(&format!("M{column} {row}h{run}v1h-{run}z"));
                }
                column += run + 1;
            }
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" shape-rendering=\"crispEdges\">\
             <path fill=\"#fff\" d=\"M0 0h{size}v{size}h-{size}z\"/><path fill=\"#000\" d=\"{path}\"/></svg>\n"
        )
    }

    /// Black and white, one bit a pixel.
    ///
    /// # Errors
    /// [`PictureError::Png`].
    pub fn png(&self) -> Result<Vec<u8>, PictureError> {
        let pixels = self.size * MODULE_PIXELS;
        // A code has at most 177 modules, so that the side has fewer than 1,500 pixels.
        let side = u32::try_from(pixels).unwrap_or(u32::MAX);
        let mut rows = Vec::with_capacity(pixels * self.size);
        for row in 0..self.size {
            // Eight pixels along a module are one byte.
            let bytes: Vec<u8> = (0..self.size)
                .map(|column| {
                    if self.is_dark(row, column) {
                        0x00
                    } else {
                        0xFF
                    }
                })
                .collect();
            for _ in 0..MODULE_PIXELS {
                rows.extend_from_slice(&bytes);
            }
        }
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, side, side);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        encoder
            .write_header()
            .and_then(|mut writer| {
                writer.write_image_data(&rows)?;
                writer.finish()
            })
            .map_err(PictureError::Png)?;
        Ok(file)
    }
}

const _: () = assert!(MODULE_PIXELS == 8, "a module is one byte of a row");
