"""Pasted traces and logs: which lines say what happened."""

from __future__ import annotations

import pytest

from retrieval.indexes.lexical import parse_query
from retrieval.indexes.lexical.traces import messages, telling

TRACES = {
    "python": """\
* Traceback (most recent call last):
  File "/opt/mill/grind.py", line 20, in <module>
    main()
  File "/opt/mill/grind.py", line 11, in main
    wheel.turn(speed=4)
    ~~~~~~~~~~^^^^^^^^^
  File "/opt/mill/wheel.py", line 7, in turn
    raise Jammed(self)
* Jammed: the wheel does not turn""",
    "java": """\
* Exception in thread "main" mill.Jammed: the wheel does not turn
	at mill.Wheel.turn(Wheel.java:7)
	at mill.Grind.main(Grind.java:11)
	at mill.Grind.run(Grind.java:2)
* Caused by: java.io.IOException: no flour
	at mill.Sack.open(Sack.java:70)
* 	... 3 more""",
    "go": """\
* panic: the wheel does not turn
* goroutine 1 [running]:
mill.(*Wheel).Turn(0xc00001c0a8, 0x4)
	/home/mill/wheel.go:7 +0x1d
mill.(*Grind).Run(0xc0000121b8, 0x2)
	/home/mill/grind.go:11 +0x2a
mill.main(0xc0000121b8, 0x2)
	/home/mill/main.go:3 +0x17""",
    "javascript": """\
* Error: the wheel does not turn
    at Wheel.turn (/mill/wheel.js:7:13)
    at Grind.main (/mill/grind.js:11:5)
    at Grind.run (/mill/grind.js:2:1)""",
    "javascript, places of many shapes": """\
* node:events:497
*       throw er; // Unhandled 'error' event
*       ^

* Error: listen EADDRINUSE: address already in use :::8080
    at Server.setupListenHandle [as _listen2] (node:net:1817:16)
    at new Wheel (/mill/wheel.js:7:13)
    at Object.<anonymous> (/mill/main.js:14:9)
    at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:174:12)
    at async Promise.all (index 0)
    at node:internal/main/run_main_module:28:49""",
    "ruby": """\
* wheel.rb:7:in `turn': the wheel does not turn (Jammed)
	from /mill/grind.rb:11:in `grind'
	from /mill/gems/mill-2.1/lib/mill.rb:3:in `block (2 levels) in main'""",
    "lua": """\
* lua: wheel.lua:7: attempt to index a nil value (field 'flour')
* stack traceback:
	[C]: in metamethod 'index'
	wheel.lua:7: in method 'turn'
	grind.lua:11: in function <grind.lua:9>
	main.lua:3: in main chunk
	[C]: in ?""",
    "rust": """\
* thread 'main' panicked at src/wheel.rs:7:13:
* the wheel does not turn
* stack backtrace:
   0: mill::wheel::turn
             at ./src/wheel.rs:7:13
   1: mill::main
             at ./src/main.rs:11:5
   2: mill::start
             at ./src/start.rs:1:1""",
    "csharp": """\
* Unhandled exception. Mill.Jammed: the wheel does not turn
   at Mill.Wheel.Turn(Int32 speed) in C:\\mill\\Wheel.cs:line 7
   at Mill.Grind.Main(String name) in C:\\mill\\Grind.cs:line 11""",
    "csharp, places of many shapes": """\
* Mill.Jammed (0x80131904): the wheel does not turn
   at Mill.Wheel.OnTurn(Exception exception, Boolean breakAxle)
   at Mill.Grind.Main(String[] args) in C:\\mill\\Grind.cs:line 11
   at System.Threading.ThreadPoolWorkQueue.Dispatch()""",
    "php, places of many shapes": """\
* PHP Fatal error:  Uncaught Jammed: the wheel does not turn in /mill/wheel.php:7
* Stack trace:
#0 /mill/grind.php(11): Mill\\Wheel->turn(Object(Mill\\Axle))
#1 /mill/Slim/RequestResponse.php(38): Mill\\Grind->__invoke()
#2 /mill/index.php(3): Slim\\App->run()
#3 {main}""",
    "gdb": """\
* Program received signal SIGSEGV, Segmentation fault.
#0  0x0000555555555131 in turn (speed=4) at wheel.c:7
#1  0x0000555555555160 in grind (speed=4) at grind.c:11
#2  0x0000555555555180 in main (speed=4) at main.c:3""",
    "php": """\
* PHP Fatal error:  Uncaught Jammed: the wheel does not turn
#0 /mill/wheel.php(7): turn(4)
#1 /mill/grind.php(11): grind(4)
#2 /mill/main.php(3): main(4)""",
    "log": """\
2026-05-01 10:00:01 INFO [wheel] turn 1 took 20 ms
2026-05-01 10:00:02 INFO [wheel] turn 2 took 21 ms
* 2026-05-01 10:00:03 ERROR [wheel] does not turn: jammed
2026-05-01 10:00:04 INFO [wheel] turn 3 took 22 ms""",
}


@pytest.mark.parametrize("name", TRACES)
def test_lines_that_say_what_happened(name: str) -> None:
    marked = TRACES[name].split("\n")
    wanted = [place for place, line in enumerate(marked) if line.startswith("* ")]
    lines = [line.removeprefix("* ") for line in marked]
    assert messages(lines) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "def turn(wheel):\n    wheel.speed = 4\n    wheel.stop = 0\n    for i in range(4):\n"
        "        print(wheel[i])\n    return 0",
        "first of all\nsecond\nthird\nfourth",
        "- a list\n- of items\n- to find",
        "ports:\n  - 80:80\n  - 443:443\nvolumes:\n  - a:/a\n  - b:/b\nname: x",
        "x = a[0:5]\ny = a[5:9]\nfor i in x:\n    print(i)\nreturn y",
        "What does error 12 at line 3 mean?",
        "meet:\n  at the mill 10:30\n  with flour\nbring a sack\nand the dog",
        "",
        "\n\n",
    ],
)
def test_other_texts_are_left_alone(text: str) -> None:
    lines = text.split("\n")
    assert messages(lines) == [place for place, line in enumerate(lines) if line.strip()]
    assert parse_query(text).lines == ()


def test_words_of_the_places_count_for_little() -> None:
    text = TRACES["java"].replace("* ", "")
    parsed = parse_query(text)
    assert parsed.text.startswith("Exception in thread") and "Wheel.java" not in parsed.text
    assert 0 < parsed.terms["grind"] < 0.5 < parsed.terms["wheel"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("wheel.rb:7:in `turn': no grain (Jammed)", "no grain (Jammed)"),
        ("thread 'main' panicked at src/wheel.rs:7:13:", "thread 'main' panicked"),
        ("Uncaught Jammed: no grain in /mill/wheel.php:7", "Uncaught Jammed: no grain"),
        ("C:\\mill\\wheel.c:7:3: error: no grain", "error: no grain"),
        ("certificate verify failed (_ssl.c:1006)", "certificate verify failed"),
    ],
)
def test_a_message_without_the_places_in_it(line: str, told: str) -> None:
    assert telling(line) == (told, 0.75)


@pytest.mark.parametrize(
    "line",
    [
        "GET http://mill.example:8080/flour: 404",
        "refused: 10.0.0.7:6379",
        "not valid before 2026-02-01T00:00:12Z",
        "address in use :::8080",
        "/mill/wheel.js:7:13",  # and nothing else
    ],
)
def test_what_names_no_place_is_left_whole(line: str) -> None:
    assert telling(line) == (line, 1.0)
