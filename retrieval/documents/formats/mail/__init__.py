"""Mail: a message is a document, and so is what is attached to it, each in its own format.

headers  words, addresses, dates, the thread
parts    a message's parts: its text, and files that come with it
mailbox  the messages of a file
outlook  the message of a file that Outlook saved
message  a message as documents
"""

from __future__ import annotations

from retrieval.documents.formats.format import Format
from retrieval.documents.formats.mail.mailbox import is_mail
from retrieval.documents.formats.mail.message import (
    parse,
    parse_outlook,
    parse_outlook_without_files,
    parse_without_files,
)

FORMATS = (
    Format(
        "mail",
        4,
        parse,
        (".eml", ".mbox", ".mbx", ".emlx"),
        sniff=is_mail,
        binary=True,
        isolated=True,  # what is attached may be in any format
        without_files=parse_without_files,
    ),
    Format(
        "outlook",
        4,
        parse_outlook,
        (".msg",),
        binary=True,
        isolated=True,
        without_files=parse_outlook_without_files,
    ),
)
