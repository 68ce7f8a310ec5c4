"""CSS by its grammar."""

from __future__ import annotations

from tests.documents.code.reading import holds

TEXT = """\
/* Colours and buttons of the shop. */
@import url("base.css");
@import "theme.css";

/* Buttons of the page. */
.button,
a.button:hover {
  color: red;
  margin: 0;
}

:root { --blue: #00f; }

@media (max-width: 600px) {
  /* Small screens. */
  .button {
    display: none;
  }
}

@keyframes turn {
  from { opacity: 0 }
  to { opacity: 1 }
}

.card {
  &:hover {
    color: blue;
  }
}
"""


def test_css_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "shop.css",
        definitions=[
            (".button, a.button:hover", ""),
            (".button", ""),
            ("turn", ""),
            (".card", ""),
            (".card.&:hover", ""),
        ],
        docs={
            ".button, a.button:hover": "/* Buttons of the page. */",
            ".button": "/* Small screens. */",
        },
        parts=[
            "/* Colours and buttons of the shop. */",
            "/* Buttons of the page. */",
            ":root { --blue: #00f; }",
            "/* Small screens. */",
            "@keyframes turn {",
            ".card {",
        ],
        title="Colours and buttons of the shop.",
        imports=["base.css", "theme.css"],
    )
