"""Texts that do not say their encoding: read right, or as Windows-1252 with a message."""

from __future__ import annotations

import time

import pytest

from retrieval.documents.decoding import decode

pytest.importorskip("chardetng_py", reason="told by the package chardetng-py")

RUSSIAN = (
    "Шлюз открывают с восходом солнца, и баржи проходят в том порядке, в котором пришли, "
    "что бы они ни везли. Ночью звонят дважды у ворот.\n"
)
UKRAINIAN = "Шлюз відчиняють зі сходом сонця, і баржі проходять у тому порядку, в якому прийшли.\n"
CHINESE = (
    "水闸在日出时打开，驳船按照到达的先后顺序通过，不论装载的是什么货物。夜间须在门口按铃两次。\n"
)
TAIWANESE = (
    "水閘在日出時打開，駁船按照到達的先後順序通過，不論裝載的是什麼貨物。夜間須在門口按鈴兩次。\n"
)
JAPANESE = "水門は日の出とともに開き、はしけは積み荷にかかわらず到着した順に通ります。\n"
KOREAN = "갑문은 해가 뜰 때 열리며 바지선은 무엇을 싣고 있든 도착한 순서대로 지나간다.\n"
GREEK = "Η δεξαμενή ανοίγει με την ανατολή του ήλιου και οι φορτηγίδες περνούν με τη σειρά.\n"
ARABIC = "يفتح الهويس عند شروق الشمس وتمر المراكب بالترتيب الذي وصلت به مهما كانت حمولتها.\n"
THAI = "ประตูน้ำเปิดเมื่อพระอาทิตย์ขึ้นและเรือจะผ่านไปตามลำดับที่มาถึง\n"
HEBREW = "הסכר נפתח עם זריחת השמש והדוברות עוברות לפי הסדר שבו הגיעו, יהיה המטען אשר יהיה.\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *((RUSSIAN, name) for name in ("cp1251", "koi8-r")),
        *((UKRAINIAN, name) for name in ("cp1251", "koi8-u")),
        (CHINESE, "gbk"),
        (CHINESE, "gb18030"),
        (TAIWANESE, "big5"),
        *((JAPANESE, name) for name in ("shift_jis", "euc-jp")),
        (KOREAN, "euc-kr"),
        (GREEK, "cp1253"),
        (ARABIC, "cp1256"),
        (THAI, "cp874"),
        (HEBREW, "cp1255"),
    ],
)
def test_scripts_are_told_by_their_bytes(text: str, encoding: str) -> None:
    for whole in (text, f"#!/bin/sh\n# {text}exit 0\n" * 3, "x\n" * 5000 + text):
        assert decode(whole.encode(encoding)) == (whole, "")


LATIN = (
    "Die Schleuse öffnet bei Sonnenaufgang; Lastkähne gehen der Reihe nach – „gleich was“.\n",
    "L'écluse s'ouvre au lever du soleil : les péniches passent « dans l'ordre » prévu.\n",
    "La esclusa se abre al amanecer; ¿pasan las barcazas según llegan? Sí, también de noche.\n",
    "Slussen åpner ved soloppgang, og lektere går gjennom i den rekkefølgen de kom, også nå.\n",
    "Þegar sól rís opnast lásinn og prammarnir fara í gegn í þeirri röð sem þeir komu í höfnina.\n",
    "Śluza otwiera się o świcie, a barki płyną w kolejności, w jakiej przybyły, także nocą.\n",
    "Å\n",
    "© 2026 Ännä Öst, 20 °C ± ½\n",
)  # fmt: skip


@pytest.mark.parametrize("text", LATIN)
def test_latin_text_stays_what_it_was(text: str) -> None:
    encoding = "cp1250" if "Ś" in text else "cp1252"
    data = text.encode(encoding)
    for whole in (data, data * 40, b"plain\n" * 2000 + data):
        read, note = decode(whole)
        assert read == whole.decode("cp1252")
        assert "what does not fit was read as Windows-1252" in note


def test_utf8_with_damaged_bytes_stays_utf8() -> None:
    for text in (RUSSIAN, CHINESE, KOREAN):
        data = bytearray((text * 5).encode())
        data[30] = 0xFF
        read, note = decode(bytes(data))
        assert text in read
        assert "not UTF-8" in note


def test_a_few_characters_are_not_enough() -> None:
    for data in ("да\n".encode("cp1251"), b"see " + "水门".encode("gbk") + b"\n"):
        assert "not UTF-8" in decode(data)[1]


def test_what_is_said_comes_first() -> None:
    said = b"# -*- coding: latin-1 -*-\n" + RUSSIAN.encode("cp1251")
    assert decode(said, language="python")[0].startswith("# -*- coding: latin-1 -*-\nØëþç")
    assert decode(RUSSIAN.encode("cp1251"), encoding="koi8-r")[0] != RUSSIAN


def test_a_long_text_is_told_by_a_part_of_it() -> None:
    text = RUSSIAN * 40_000
    data = text.encode("cp1251")
    begun = time.process_time()
    assert decode(data) == (text, "")
    assert time.process_time() - begun < 8
    late = b"ascii\n" * 400_000 + JAPANESE.encode("cp932") * 20
    assert decode(late)[0].endswith(JAPANESE)
