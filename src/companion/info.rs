//! What bubblewrap tells through `--info-fd`.

/// The process id of the sandbox's first process, as the host counts; `None` while the text is not whole.
pub(super) fn child_pid(text: &[u8]) -> Option<i32> {
    let info: serde_json::Value = serde_json::from_slice(text).ok()?;
    info.get("child-pid")?.as_i64()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bubblewraps_answers() {
        let table: [(&str, Option<i32>); 5] = [
            ("{\n    \"child-pid\": 4242\n}\n", Some(4242)),
            (
                "{\n    \"child-pid\": 4242,\n    \"mnt-namespace\": 4026532581\n}\n",
                Some(4242),
            ),
            ("{\n    \"child-pid\": 42", None),
            ("", None),
            ("{\"child-pid\": 99999999999}", None),
        ];
        for (text, pid) in table {
            assert_eq!(child_pid(text.as_bytes()), pid, "{text}");
        }
    }
}
