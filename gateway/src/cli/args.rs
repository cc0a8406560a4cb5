//! What may be typed.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};

use crate::domains::l10n::Satang;
use crate::domains::promptpay::{Mobile, OneTime, Reference, Wallet};

/// The gateway of the Khlong network. Built so far: the ledger and its books over HTTP, its journal in the folder or in PostgreSQL, backups, webhooks, and Thai QR.
#[derive(Debug, Parser)]
#[command(name = "khlong-gateway", version, arg_required_else_help = true)]
pub struct Arguments {
    /// Data on standard output as one JSON object.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the ledger over HTTP until a signal. GET /openapi.json describes it.
    Run(super::Run),
    /// Thai QR: make codes to be paid by, read them, and read those on slips. Nobody is asked or told anything.
    #[command(subcommand)]
    Promptpay(PromptPay),
    /// Make the folder of a gateway with an empty journal, and print the journal's id.
    Init {
        /// The folder; made if it is not there, and it must be empty.
        folder: PathBuf,
        /// Begin the journal in the database that this configuration names, or follow the one that is there.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Also write a configuration with comments, for its owner alone; it must not be there.
        #[arg(long, value_name = "FILE", conflicts_with = "config")]
        write_config: Option<PathBuf>,
    },
    /// Look at the configuration alone. Nothing is started.
    #[command(subcommand)]
    Config(super::config::ConfigCommand),
    /// Say whether a configuration is one that `run` takes: the same as `config check --config FILE`.
    Check {
        /// The configuration; paths in it are relative to its folder.
        #[arg(default_value = "gateway.toml")]
        file: PathBuf,
        /// What wins over the configuration.
        #[command(flatten)]
        overrides: super::Overrides,
    },
    /// Read the whole journal and its hash chain, the views that follow from it, and whether debits equal credits.
    Verify {
        /// The folder of a gateway that does not run. Nothing in it is changed.
        folder: PathBuf,
        /// Read the journal in the database that this configuration names as well, and compare.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// An entry and the journal's hash there, as somebody noted or was told them; the journal must still have both.
        #[arg(long, value_name = "ENTRY:HASH")]
        published: Vec<Published>,
    },
    /// Rebuild all views from the journal into another folder, and compare them with those that are there.
    Replay {
        /// The folder of a gateway that does not run. Nothing in it is changed.
        folder: PathBuf,
        /// Where the rebuilt folder goes, under the same journal id; made if it is not there, and it must be empty.
        #[arg(long, value_name = "FOLDER")]
        into: PathBuf,
        /// First compare with the journal in the database that this configuration names.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Begin behind a backup of this gateway, or the newest sound one in a folder of them, instead of the first entry. What its views say is taken as it is, once it was found whole and part of the journal.
        #[arg(long, value_name = "BACKUP")]
        from_snapshot: Option<PathBuf>,
    },
    /// Print every entry of the journal as one line of JSON, its bytes in hexadecimal. It holds everything that was asked of the gateway.
    Export {
        /// The folder of a gateway that does not run. Nothing in it is changed.
        folder: PathBuf,
        /// First compare with the journal in the database that this configuration names.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Move the journal into a PostgreSQL database.
    #[command(subcommand)]
    Journal(super::moving::Journal),
    /// Close the days that are over, and print their hashes. A gateway that runs does so by itself.
    Close(super::books::Close),
    /// Keep the folder of a gateway elsewhere, check such a copy, and make a gateway from it.
    #[command(subcommand)]
    Backup(super::backup::Backup),
    /// Make the folder of a gateway from a backup: the same as `backup restore`.
    Restore {
        /// The backup.
        backup: PathBuf,
        /// The folder; made if it is not there, and it must be empty.
        folder: PathBuf,
    },
    /// What an account did from one day to another, as CSV, or as JSON with --json.
    Statement(super::books::Statement),
    /// Compare an account with a bank's file over days that are closed, and record that if it is asked for. Nothing is moved.
    Reconcile(super::books::Reconcile),
    /// Record a batch of payouts and write its file, write that again, read what a bank answers to it, and settle the batch by that.
    #[command(subcommand)]
    Payout(super::books::Payout),
    /// Check every hash of the journal and every close, and write the journal as CSV and Parquet.
    Audit(super::books::Audit),
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Write manual pages into a folder.
    Man {
        /// The folder; made if it is not there.
        folder: PathBuf,
    },
}

/// An entry and its hash, as somebody noted them.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// Which entry.
    pub entry: u64,
    /// The journal's hash there.
    pub hash: blake3::Hash,
}

impl FromStr for Published {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (entry, hash) = text.split_once(':').ok_or("ENTRY:HASH is needed")?;
        Ok(Self {
            entry: entry.parse().map_err(|_| "the entry is a number")?,
            hash: blake3::Hash::from_hex(hash).map_err(|_| "the hash has 64 hexadecimal digits")?,
        })
    }
}

/// What to do with codes.
#[derive(Debug, Subcommand)]
pub enum PromptPay {
    /// Make a code to be paid by; print its text, and draw it on a terminal.
    Encode(Box<Encode>),
    /// Say what the text of a code means; refuse it when a character is wrong.
    Decode(Decode),
    /// The small codes on transfer slips of banks.
    #[command(subcommand)]
    Slip(Slip),
}

/// What to do with slips.
#[derive(Debug, Subcommand)]
pub enum Slip {
    /// Make the code of a slip.
    Encode(SlipEncode),
    /// Say which bank and which transaction a slip names. It is no proof of payment: ask the bank.
    Decode(Decode),
}

/// Who is paid. Exactly one.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct To {
    /// A mobile number: 0812345678, 081-234-5678 or +66812345678.
    #[arg(long, value_name = "NUMBER")]
    pub mobile: Option<Mobile>,
    /// A national id or a tax id, of 13 digits.
    #[arg(long, value_name = "DIGITS")]
    pub id: Option<String>,
    /// An e-wallet, of 15 digits.
    #[arg(long, value_name = "DIGITS")]
    pub wallet: Option<Wallet>,
    /// An account at the bank that --bank names.
    #[arg(long, value_name = "NUMBER", requires = "bank")]
    pub account: Option<String>,
    /// An account for one payment, of 10 letters or digits.
    #[arg(long, value_name = "CODE")]
    pub one_time: Option<OneTime>,
    /// A bill: the biller's tax id and its suffix, of 15 digits.
    #[arg(long, value_name = "DIGITS", requires = "reference1")]
    pub biller: Option<String>,
}

/// Flags of `promptpay encode`.
#[derive(Args, Debug)]
pub struct Encode {
    /// Who is paid.
    #[command(flatten)]
    pub to: To,
    /// The code of the bank of --account, of three digits.
    #[arg(long, value_name = "CODE", requires = "account")]
    pub bank: Option<String>,
    /// By what the biller finds the customer.
    #[arg(long, value_name = "TEXT", requires = "biller")]
    pub reference1: Option<Reference>,
    /// By what the biller finds the bill.
    #[arg(long, value_name = "TEXT", requires = "biller")]
    pub reference2: Option<Reference>,
    /// A third reference, or the terminal.
    #[arg(long, value_name = "TEXT")]
    pub reference3: Option<String>,
    /// That somebody abroad may pay the bill.
    #[arg(long, requires = "biller")]
    pub cross_border: bool,
    /// How many baht, as 50 or 49.75; otherwise the payer says it. The code is for one payment then, but for --reusable.
    #[arg(long, value_name = "BAHT")]
    pub amount: Option<Satang>,
    /// For one payment only; otherwise, without an amount, for as many as come.
    #[arg(long)]
    pub dynamic: bool,
    /// For as many payments as come, each of --amount: a poster with a price.
    #[arg(long, requires = "amount", conflicts_with = "dynamic")]
    pub reusable: bool,
    /// The name that the payer sees, in at most 25 characters.
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// The town, in at most 15 characters.
    #[arg(long, value_name = "TEXT")]
    pub city: Option<String>,
    /// Its postal code.
    #[arg(long, value_name = "TEXT")]
    pub postal_code: Option<String>,
    /// What is sold, as four digits of ISO 18245.
    #[arg(long, value_name = "DIGITS")]
    pub category: Option<String>,
    /// The name in Thai, beside the other one.
    #[arg(long, value_name = "TEXT")]
    pub thai_name: Option<String>,
    /// The town in Thai.
    #[arg(long, value_name = "TEXT", requires = "thai_name")]
    pub thai_city: Option<String>,
    /// Take an id whose check digit is wrong, for demonstrations.
    #[arg(long)]
    pub unchecked: bool,
    /// Where the picture goes.
    #[command(flatten)]
    pub draw: Draw,
}

/// Flags of `promptpay slip encode`.
#[derive(Args, Debug)]
pub struct SlipEncode {
    /// The sending bank's code, of three digits.
    #[arg(long, value_name = "CODE")]
    pub bank: String,
    /// The bank's reference of the transaction.
    #[arg(long, value_name = "TEXT")]
    pub reference: String,
    /// Where the picture goes.
    #[command(flatten)]
    pub draw: Draw,
}

/// Where the picture goes.
#[derive(Args, Debug)]
pub struct Draw {
    /// Write a picture to a new file.
    #[arg(long, value_name = "FILE")]
    pub png: Option<PathBuf>,
    /// Write a drawing to a new file, for print.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Draw the code also where standard output is no terminal.
    #[arg(long)]
    pub terminal: bool,
}

/// What is read.
#[derive(Args, Debug)]
pub struct Decode {
    /// The text of a code, or - to read it from standard input.
    #[arg(value_name = "TEXT")]
    pub text: String,
}
