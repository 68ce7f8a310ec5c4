"""C++ by its grammar."""

from __future__ import annotations

from tests.documents.code.reading import holds

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
