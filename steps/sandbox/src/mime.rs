//! As much of RFC 5322, 2045 and 2047 as it takes to read mails of our own.

/// A mail: its headers, unfolded, and its body as it came.
pub(crate) struct Message {
    headers: Vec<(String, String)>,
    body: String,
}

impl Message {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in head.lines() {
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = headers.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                headers.push((name.to_owned(), value.trim().to_owned()));
            }
        }
        Self {
            headers,
            body: body.to_owned(),
        }
    }

    /// The first header of this name, decoded; empty when there is none.
    pub(crate) fn header(&self, name: &str) -> String {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| words(value)).unwrap_or_default()
    }

    /// The text, decoded; of several parts the first that is plain text.
    pub(crate) fn text(&self) -> String {
        let kind = self.header("Content-Type");
        if kind.starts_with("multipart/") {
            let boundary = kind.split("boundary=").nth(1).and_then(|rest| {
                let rest = rest.trim_start_matches('"');
                rest.split(['"', ';']).next()
            });
            let mark = format!("--{}", boundary.unwrap_or_default());
            let parts: Vec<Message> = self
                .body
                .split(&mark)
                .skip(1)
                .map(|part| Message::parse(part.trim_start().as_bytes()))
                .collect();
            let plain = parts
                .iter()
                .find(|part| part.header("Content-Type").starts_with("text/plain"));
            return plain
                .or(parts.first())
                .map(Message::text)
                .unwrap_or_default();
        }
        match self
            .header("Content-Transfer-Encoding")
            .to_ascii_lowercase()
            .as_str()
        {
            "quoted-printable" => lossy(&quoted(&self.body.replace("=\n", ""))),
            "base64" => lossy(&base64(&self.body)),
            _ => self.body.clone(),
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace("\r\n", "\n")
}

/// Encoded words (`=?utf-8?b?…?=`) to text; blanks between two of them do not count (RFC 2047 §6.2).
fn words(value: &str) -> String {
    let mut out = Vec::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("=?") {
        if !before.trim().is_empty() || out.is_empty() {
            out.extend_from_slice(before.as_bytes());
        }
        let mut fields = after.splitn(3, '?');
        let (_, kind, tail) = (fields.next(), fields.next(), fields.next());
        let Some((encoded, more)) = tail.and_then(|tail| tail.split_once("?=")) else {
            out.extend_from_slice(b"=?");
            rest = after;
            continue;
        };
        out.extend(match kind {
            Some("b" | "B") => base64(encoded),
            _ => quoted(&encoded.replace('_', " ")),
        });
        rest = more;
    }
    out.extend_from_slice(rest.as_bytes());
    lossy(&out)
}

fn quoted(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'=')
            .then(|| text.get(at + 1..at + 3))
            .flatten();
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    out
}

fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut held, mut bits, mut out) = (0_u32, 0, Vec::new());
    for value in text
        .bytes()
        .filter_map(|byte| DIGITS.iter().position(|digit| *digit == byte))
    {
        held = held << 6 | u32::try_from(value).expect("a digit of base64 is below 64");
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(held >> bits & 0xff).expect("masked to one byte"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Message;

    #[test]
    fn folded_and_encoded_subjects_are_read() {
        let mail = Message::parse(
            b"Subject: =?utf-8?b?w6R0?=\n =?utf-8?q?_=C3=B6?= end\nTo: a@example.org\n\nhi\n",
        );
        assert_eq!(mail.header("subject"), "\u{e4}t \u{f6} end");
    }

    #[test]
    fn encoded_bodies_are_read() {
        let quoted =
            Message::parse(b"Content-Transfer-Encoding: quoted-printable\n\na=C3=A4b=\nc=3D\n");
        assert_eq!(quoted.text(), "a\u{e4}bc=\n");
        let coded = Message::parse(b"Content-Transfer-Encoding: base64\n\naGVs\nbG8=\n");
        assert_eq!(coded.text(), "hello");
    }

    #[test]
    fn the_plain_part_of_several_is_taken() {
        let text = "Content-Type: multipart/alternative; boundary=\"xx\"\n\n--xx\nContent-Type: text/html\n\n<p>\n--xx\nContent-Type: text/plain\n\nplain\n--xx--\n";
        assert_eq!(Message::parse(text.as_bytes()).text().trim(), "plain");
    }
}
