"""C++ by its grammar."""

from __future__ import annotations

import pytest

from tests.documents.code.reading import doc, holds, named, parsed

TEXT = """\
#include <vector>

namespace shop::engines {

/// One engine.
template <typename T>
class Engine final : public Base<T> {
 public:
  explicit Engine(int size) : size_(size) {}
  ~Engine();

  // Loads it.
  virtual bool load(const std::string& path) const override;

  bool operator==(const Engine& other) const {
    return size_ == other.size_;
  }

  struct Part {
    int width;
  };

 private:
  int size_ = 0;
};

template <typename T>
bool Engine<T>::load(const std::string& path) const {
  return open(path);
}

enum class Kind : int { steam, diesel };

using Names = std::vector<std::string>;

std::string& Store::name() { return name_; }

}  // namespace shop::engines

extern "C" int make_engine(int kind) {
  return kind;
}
"""


def test_cpp_is_read_by_its_grammar() -> None:
    holds(
        TEXT,
        "engine.cpp",
        definitions=[
            ("Engine", "template <typename T> class Engine final : public Base<T>"),
            ("Engine.Engine", "explicit Engine(int size) : size_(size)"),
            ("Engine.~Engine", "~Engine()"),
            ("Engine.load", "virtual bool load(const std::string& path) const override"),
            ("Engine.operator==", "bool operator==(const Engine& other) const"),
            ("Engine.Part", "struct Part"),
            (
                "Engine.load",
                "template <typename T> bool Engine<T>::load(const std::string& path) const",
            ),
            ("Kind", "enum class Kind : int"),
            ("Names", "using Names"),
            ("Store.name", "std::string& Store::name()"),
            ("make_engine", 'extern "C" int make_engine(int kind)'),
        ],
        docs={
            "Engine": "/// One engine.",
            "Engine.load": "// Loads it.",
        },
        parts=[
            "#include <vector>",
            "/// One engine.",
            "template <typename T>",
            "enum class Kind : int { steam, diesel };",
            "using Names = std::vector<std::string>;",
            "std::string& Store::name() { return name_; }",
            'extern "C" int make_engine(int kind) {',
        ],
        imports=["vector"],
    )


def test_operators_are_named_by_their_sign_whatever_they_return() -> None:
    text = """\
class Fleet {
 public:
  Fleet &operator=(const Fleet &other);
  const Boat& operator[](int at) const { return boats[at]; }
  Boat *operator->();
  bool operator()(int at) const;
  Boat at(int at), get_operator();
  void *operator new[](size_t size);
  operator std::string() const { return name; }
  template <class T>
  void add(T&& boat);
};
Fleet &Fleet::operator=(const Fleet &other) { return *this; }
std::ostream &operator<<(std::ostream &out, const Fleet &fleet) { return out; }
Fleet::operator bool() const { return true; }
constexpr auto operator""_knots(long double speed) { return speed; }
std::vector<Boat> boats{1, 2};
Map<unsigned int>::Map(int size) { }
"""
    assert [block.name for block in parsed(text, "fleet.cpp").outline.blocks] == [
        "Fleet",
        "Fleet.operator=",
        "Fleet.operator[]",
        "Fleet.operator->",
        "Fleet.operator()",
        "Fleet.at",
        "Fleet.operator new[]",
        "Fleet.operator std.string",
        "Fleet.add",
        "Fleet.operator=",
        "operator<<",
        "Fleet.operator bool",
        'operator""_knots',
        "boats",
        "Map.Map",
    ]


def test_macros_that_stand_for_attributes_hide_no_class_and_no_member() -> None:
    text = """\
/** A deck. */
class BOATS_EXPORT Deck final : public Widget {
    Q_OBJECT
    Q_PROPERTY(QString title READ title
               NOTIFY titleChanged)
 public:
    explicit Deck(Widget *parent = nullptr);

    /** Sails. */
    UFUNCTION(BlueprintCallable, Category = "Boats")
    void sail(int knots);
 signals:
    void moved(int x);
 public slots:
    void stop();
};
struct ALIGNED(16) Sail
{
    int width;
};
BOOL WINAPI DllMain(HINSTANCE instance)
{
}
BOATS_EXPORT Result<std::shared_ptr<Boat>> find(int id);
"""
    found = parsed(text, "deck.hpp").outline
    assert named(found) == {
        "Deck": "class BOATS_EXPORT Deck final : public Widget",
        "Deck.Deck": "explicit Deck(Widget *parent = nullptr)",
        "Deck.sail": "void sail(int knots)",
        "Deck.moved": "void moved(int x)",
        "Deck.stop": "void stop()",
        "Sail": "struct ALIGNED(16) Sail",
        "DllMain": "BOOL WINAPI DllMain(HINSTANCE instance)",
        "find": "BOATS_EXPORT Result<std::shared_ptr<Boat>> find(int id)",
    }
    assert doc(found, text, "Deck.sail") == "/** Sails. */"


def test_tests_that_macros_declare_are_named_by_their_words() -> None:
    text = """\
TEST(BoatTest, Sails) {
  EXPECT_TRUE(boat.sails());
}
TEST_F(HarborTest, Opens)
{
}
BOOST_AUTO_TEST_CASE(closes) {
}
int LATEST(int one, int other) {
  return one;
}
static void TEST_SETUP(void) {
}
TEST_CASE("boats float", "[boat]") {
  SECTION("in salt water") {
    REQUIRE(boat.floats());
  }
}
"""
    found = parsed(text, "boat_test.cpp").outline
    assert [(block.name, text.count("\n", block.start, block.end)) for block in found.blocks] == [
        ("BoatTest.Sails", 2),
        ("HarborTest.Opens", 2),
        ("closes", 1),
        ("LATEST", 2),
        ("TEST_SETUP", 1),
        ("boats float", 4),
        ("boats float.in salt water", 2),
    ]


MODULE = """\
// Sells the boats of the harbour.
module;
#include <cstdio>
/*
import no;
*/
export module shop.core:part;

import std;
export import shop.util;
import :other;
import <vector>;
import "own.h";

export namespace shop {

export int total(int a) {
  return a;
}

export template <typename T>
class Box {
public:
  /** Puts. */ void put(T item) { }
};

}

export {
  int inside(int x) {
    return x;
  }
}

/// A cart.
export class Cart {
public:
  void add(int item) {
  }
};

export constexpr int LIMIT = 5;
module :private;
"""


@pytest.mark.parametrize("suffix", ["cpp", "cppm", "ixx", "ccm", "cxxm", "c++m", "mxx", "mpp"])
def test_modules_are_read(suffix: str) -> None:
    made = parsed(MODULE, f"core.{suffix}")
    assert made.metadata["language"] == "cpp"
    assert [block.name for block in made.outline.blocks] == [
        "total",
        "Box",
        "Box.put",
        "inside",
        "Cart",
        "Cart.add",
        "LIMIT",
    ]
    assert made.metadata["imports"] == ["cstdio", "std", "shop.util", ":other", "vector", "own.h"]
    assert made.title == "Sells the boats of the harbour."
    assert doc(made.outline, MODULE, "Cart") == "/// A cart."


def test_a_definition_begins_with_its_export_and_not_with_the_module() -> None:
    text = "export module shop;\nimport std;\nexport int total(int a) {\n  return a;\n}\n"
    (block,) = parsed(text, "shop.ixx").outline.blocks
    assert text[block.start :].startswith("export int total")
    text = 'const char* python = R"(\nimport os;\n)";\nint export_all(int import);\n'
    assert "imports" not in parsed(text, "a.cpp").metadata
