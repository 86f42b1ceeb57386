//! Logging in by SCRAM-SHA-256 (RFC 5802, RFC 7677): the password never travels, and the server has to know it too.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// PostgreSQL's default is 4,096; a server that asks for much more would only keep this machine busy.
const ROUNDS_MAX: u32 = 1_000_000;
const BLOCK: usize = 64;

/// One login under way.
pub(super) struct Scram {
    password: String,
    nonce: String,
    /// What the server has to prove, once it was told.
    expected: Option<[u8; 32]>,
}

impl Scram {
    /// Fails when this machine gives no randomness.
    pub(super) fn begin(password: &str) -> Result<Self, String> {
        let mut random = [0; 18];
        getrandom::fill(&mut random)
            .map_err(|e| format!("this machine gives no randomness: {e}"))?;
        Ok(Self::with_nonce(password, STANDARD.encode(random)))
    }

    fn with_nonce(password: &str, nonce: String) -> Self {
        Self {
            password: password.to_owned(),
            nonce,
            expected: None,
        }
    }

    /// The first message. The user is known from the start of the session and left out, as PostgreSQL has it.
    pub(super) fn first(&self) -> String {
        format!("n,,n=,r={}", self.nonce)
    }

    /// The last message, from the server's first.
    pub(super) fn answer(&mut self, server: &[u8]) -> Result<String, String> {
        self.answer_as("", server)
    }

    fn answer_as(&mut self, user: &str, server: &[u8]) -> Result<String, String> {
        let strange = || "the server's login question is not understood".to_owned();
        let server = std::str::from_utf8(server).map_err(|_| strange())?;
        let part = |key: &str| server.split(',').find_map(|each| each.strip_prefix(key));
        let (Some(nonce), Some(salt), Some(rounds)) = (part("r="), part("s="), part("i=")) else {
            return Err(strange());
        };
        let salt = STANDARD.decode(salt).map_err(|_| strange())?;
        let rounds: u32 = rounds.parse().map_err(|_| strange())?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() || rounds == 0 {
            return Err(strange());
        }
        if rounds > ROUNDS_MAX {
            return Err(format!("the server asks for {rounds} rounds of hashing"));
        }
        let salted = salted(self.password.as_bytes(), &salt, rounds);
        let client_key = hmac(&salted, b"Client Key");
        let stored: [u8; 32] = Sha256::digest(client_key).into();
        let without_proof = format!("c=biws,r={nonce}");
        let said = format!("n={user},r={},{server},{without_proof}", self.nonce);
        let signature = hmac(&stored, said.as_bytes());
        let mut proof = client_key;
        for (byte, with) in proof.iter_mut().zip(signature) {
            *byte ^= with;
        }
        let server_key = hmac(&salted, b"Server Key");
        self.expected = Some(hmac(&server_key, said.as_bytes()));
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    /// Whether the server's last message shows that it knows the password.
    pub(super) fn proves(&self, server: &[u8]) -> bool {
        let told = server.strip_prefix(b"v=").map(|v| STANDARD.decode(v));
        match (told, &self.expected) {
            (Some(Ok(told)), Some(expected)) => told == expected,
            _ => false,
        }
    }
}

/// `Hi` of RFC 5802: PBKDF2 with one block.
fn salted(password: &[u8], salt: &[u8], rounds: u32) -> [u8; 32] {
    let mut first = salt.to_vec();
    first.extend_from_slice(&1_u32.to_be_bytes());
    let mut last = hmac(password, &first);
    let mut sum = last;
    for _ in 1..rounds {
        last = hmac(password, &last);
        for (byte, with) in sum.iter_mut().zip(last) {
            *byte ^= with;
        }
    }
    sum
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text);
    let outer = Sha256::new().chain_update(pad(0x5c));
    outer.chain_update(inner.finalize()).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7677_comes_out_and_another_server_does_not_pass() {
        let mut scram = Scram::with_nonce("pencil", "rOprNGfwEbeRWgbNEkqO".into());
        let server = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let last = scram.answer_as("user", server).unwrap();
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(scram.proves(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!scram.proves(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G8="));
        assert!(!scram.proves(b"e=other-error"));
    }

    #[test]
    fn a_server_that_changes_the_nonce_or_asks_for_endless_hashing_is_refused() {
        let mut scram = Scram::with_nonce("x", "abc".into());
        assert!(scram.answer(b"r=xyz,s=AAAA,i=4096").is_err());
        assert!(scram.answer(b"r=abc,s=AAAA,i=4096").is_err());
        assert!(scram.answer(b"r=abcd,s=AAAA,i=4000000000").is_err());
        assert!(scram.answer(b"r=abcd,s=AAAA").is_err());
    }
}
