//! What the stub's model says to a question, and how the service puts that into an answer or a stream of events.

use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::{PLAIN, Request, State, failure, reply};

/// What the model is made to say.
enum Said {
    Text { slow: u64, text: String },
    Tool { name: &'static str, input: Value },
}

pub(super) fn message(state: &State, request: &Request, writer: &mut impl Write) -> io::Result<()> {
    let turn = Turn::of(&request.body);
    if !turn.is_result {
        for (mark, status, kind) in [
            ("FAIL400", 400, "invalid_request_error"),
            ("FAIL401", 401, "authentication_error"),
            ("FAIL403", 403, "permission_error"),
            ("FAIL500", 500, "api_error"),
            ("FAIL529", 529, "overloaded_error"),
        ] {
            if turn.text.contains(mark) {
                return reply(writer, status, &failure(kind, "as the test asked"));
            }
        }
    }
    let has = |name: &str| {
        let tools = request.body["tools"].as_array();
        tools.is_some_and(|tools| tools.iter().any(|tool| tool["name"] == name))
    };
    let asked = |open, name| between(&turn.text, open, ":END").filter(|_| has(name));
    let said = if turn.is_result {
        Said::Text {
            slow: 0,
            text: format!("ECHO {}", turn.text),
        }
    } else if let Some(command) = asked("RUN:", "Bash") {
        Said::Tool {
            name: "Bash",
            input: json!({"command": command, "description": "what the test asked for"}),
        }
    } else if let Some(query) = asked("SEARCH:", "Bash") {
        Said::Tool {
            name: "WebSearch",
            input: json!({"query": query}),
        }
    } else {
        let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
        let slow = turn
            .text
            .rsplit_once("SLOW:")
            .and_then(|(_, rest)| digits(rest).parse().ok())
            .unwrap_or(0);
        Said::Text {
            slow,
            text: PLAIN.to_owned(),
        }
    };
    let number = state.messages.fetch_add(1, Ordering::SeqCst);
    let mut message = json!({
        "id": format!("msg_{number}"),
        "type": "message",
        "role": "assistant",
        "model": request.body["model"],
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": {"input_tokens": 5, "output_tokens": 1, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0},
    });
    if request.body["stream"] == true {
        return stream(writer, &message, &said, number);
    }
    (message["content"], message["stop_reason"]) = match said {
        Said::Text { text, .. } => (json!([{"type": "text", "text": text}]), json!("end_turn")),
        Said::Tool { name, input } => (
            json!([{"type": "tool_use", "id": format!("toolu_{number}"), "name": name, "input": input}]),
            json!("tool_use"),
        ),
    };
    reply(writer, 200, &message)
}

/// Sends the message as server-sent events.
fn stream(writer: &mut impl Write, message: &Value, said: &Said, number: u64) -> io::Result<()> {
    writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")?;
    let mut event = |name: &str, mut data: Value| -> io::Result<()> {
        data["type"] = json!(name);
        let text = format!("event: {name}\ndata: {data}\n\n");
        write!(writer, "{:x}\r\n{text}\r\n", text.len())?;
        writer.flush()
    };
    event("message_start", json!({"message": message}))?;
    let stop = match said {
        Said::Text { slow, text } => {
            event(
                "content_block_start",
                json!({"index": 0, "content_block": {"type": "text", "text": ""}}),
            )?;
            let mut say = |text: &str| {
                event(
                    "content_block_delta",
                    json!({"index": 0, "delta": {"type": "text_delta", "text": text}}),
                )
            };
            for second in 0..*slow {
                say(&format!("word{second} "))?;
                std::thread::sleep(Duration::from_secs(1));
            }
            say(text)?;
            "end_turn"
        }
        Said::Tool { name, input } => {
            let block = json!({"type": "tool_use", "id": format!("toolu_{number}"), "name": name, "input": {}});
            event("content_block_start", json!({"index": 0, "content_block": block}))?;
            event(
                "content_block_delta",
                json!({"index": 0, "delta": {"type": "input_json_delta", "partial_json": input.to_string()}}),
            )?;
            "tool_use"
        }
    };
    event("content_block_stop", json!({"index": 0}))?;
    event(
        "message_delta",
        json!({"delta": {"stop_reason": stop, "stop_sequence": null}, "usage": {"output_tokens": 7}}),
    )?;
    event("message_stop", json!({}))?;
    writer.write_all(b"0\r\n\r\n")?;
    writer.flush()
}

/// What the user said since the model last spoke.
struct Turn {
    text: String,
    is_result: bool,
}

impl Turn {
    fn of(body: &Value) -> Self {
        let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
        let start = messages
            .iter()
            .rposition(|message| message["role"] == "assistant")
            .map_or(0, |at| at + 1);
        let tail = messages
            .get(start..)
            .unwrap_or_default()
            .iter()
            .filter(|message| message["role"] == "user");
        let mut turn = Self {
            text: String::new(),
            is_result: false,
        };
        let mut results = String::new();
        for message in tail {
            let content = &message["content"];
            if let Some(text) = content.as_str() {
                turn.text.push_str(text);
            }
            for block in content.as_array().into_iter().flatten() {
                if block["type"] == "tool_result" {
                    turn.is_result = true;
                    results.push_str(&text_of(&block["content"]));
                } else {
                    turn.text.push_str(&text_of(block));
                }
            }
        }
        // Beside a result the client also sends reminders of its own: only the result is echoed, so that a test can compare it whole.
        if turn.is_result {
            turn.text = results;
        }
        turn
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks.iter().map(text_of).collect(),
        Value::Object(block) => block.get("text").map(text_of).unwrap_or_default(),
        _ => String::new(),
    }
}

/// The text between the last `open` and the `close` after it.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let (_, rest) = text.rsplit_once(open)?;
    rest.split_once(close).map(|(inner, _)| inner)
}
