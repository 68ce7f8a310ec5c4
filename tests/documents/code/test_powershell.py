"""PowerShell by its grammar, which is an extra."""

from __future__ import annotations

from tests.documents.code.reading import holds

TEXT = """\
# Lamps of the harbour.
Import-Module Harbour.Lamps

<#
.SYNOPSIS
Reads a lamp.
#>
function Get-Lamp {
    [CmdletBinding()]
    param([string]$Name, [int]$Count = 3)
    process { Write-Output $Name }
}

function Set-Lamp($Name) {
    # Sets it.
    Write-Output $Name
}

filter Select-Red { if ($_.Color -eq 'red') { $_ } }

class Lamp : Base {
    [string]$Color

    Lamp([string]$color) {
        $this.Color = $color
    }

    # Lets it glow.
    [void] Glow([int]$times) {
        Write-Host $times
    }
}

enum Color { Red; Green }
"""


def test_powershell_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "lamps.ps1",
        definitions=[
            ("Get-Lamp", "function Get-Lamp"),
            ("Set-Lamp", "function Set-Lamp($Name)"),
            ("Select-Red", "filter Select-Red"),
            ("Lamp", "class Lamp : Base"),
            ("Lamp.Lamp", "Lamp([string]$color)"),
            ("Lamp.Glow", "[void] Glow([int]$times)"),
            ("Color", "enum Color"),
        ],
        docs={
            "Get-Lamp": "<#\n.SYNOPSIS\nReads a lamp.\n#>",
            "Set-Lamp": "# Sets it.",
            "Lamp.Glow": "# Lets it glow.",
        },
        parts=[
            "# Lamps of the harbour.",
            "<#",
            "function Set-Lamp($Name) {",
            "filter Select-Red { if ($_.Color -eq 'red') { $_ } }",
            "class Lamp : Base {",
            "enum Color { Red; Green }",
        ],
        title="Lamps of the harbour.",
        imports=["Harbour.Lamps"],
    )
