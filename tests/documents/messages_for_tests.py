"""Messages for tests of mail."""

from __future__ import annotations

from email.message import EmailMessage

BODY = "Dear Charles,\n\nthe pump fails at 40°.\n\n-- \nAda\n"


def message(body: str = BODY, number: int = 2, **fields: str) -> EmailMessage:
    made = EmailMessage()
    made["From"] = fields.pop("sender", "Ada Lövelace <ada@example.org>")
    made["To"] = '"Babbage, Charles" <cb@example.org>, mill@lists.example.org'
    made["Subject"] = fields.pop("subject", "Rückmeldung on the pumps")
    made["Date"] = "Mon, 03 Mar 2025 10:00:00 +0100"
    made["Message-ID"] = f"<{number}@example.org>"
    for name, value in fields.items():
        made[name.replace("_", "-")] = value
    made.set_content(body)
    return made
